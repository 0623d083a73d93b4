/// Exact search over rows that do not change: their codes are read first, and the rows that may be
/// among the nearest, whatever the codes have rounded away, are compared again.
#pragma once

#include "cordwood_codes.h"
#include "cordwood_elements.h"

#ifdef __cplusplus
extern "C" {
#endif

// MARK: Rows

enum {
    /// Rows whose codes are described together, and read while they are in the first caches.
    CORDWOOD_FLAT_BLOCK = CORDWOOD_SELECTED_ROWS,
};

/// What holds for each of a block's rows: none of it is more.
typedef struct cordwood_flat_bounds {
    /// How far the row is from what its codes stand for.
    float error;
    /// The length of the row's codes, each less half, as a vector.
    float codes;
    /// For L2 the float behind the codes, and else 0.
    float term;
    /// The length of the row.
    float length;
} cordwood_flat_bounds;

/// Measures a block of `count` rows, of which there is one every `stride` floats, and their codes.
/// In double precision and rounded up: the same bytes on every instruction set.
void cordwood_flat_measure(const cordwood_quantizer *quantizer, const float *rows, size_t stride,
                           size_t count, const uint8_t *codes, cordwood_flat_bounds *bounds);

/// Rows that do not change.
typedef struct cordwood_flat {
    /// Null where there are no codes, and all rows are read.
    const cordwood_quantizer *quantizer;
    const uint8_t *codes;
    /// One for each block.
    const cordwood_flat_bounds *bounds;
    /// Row i is at `rows + i * stride` bytes: `dimensions` floats or halves, of which those that
    /// the quantizer knows nothing of are zeros.
    const uint8_t *rows;
    size_t stride;
    cordwood_element element;
    size_t dimensions;
    cordwood_metric metric;
    float base;
    const uint64_t *ids;
    uint32_t count;
} cordwood_flat;

// MARK: Searching

typedef struct cordwood_flat_candidate {
    /// No more than the row's distance.
    float lower;
    uint32_t row;
} cordwood_flat_candidate;

/// How far the codes' distances from one query may be from those of rows.
typedef struct cordwood_flat_slack {
    /// The length of the query.
    double length;
    /// The length of what rounding took from the query's components, and of what is left of them.
    double rounded, components;
    /// How far the query's base is off.
    double base;
} cordwood_flat_slack;

/// One query, what is found for it, and the memory it needs.
typedef struct cordwood_flat_search {
    /// As the rows are: `dimensions` floats, all finite.
    const float *query;
    /// Room for `cordwood_code_query_bytes`.
    int8_t *components;
    /// Room for `capacity`, at least two blocks.
    cordwood_flat_candidate *candidates;
    uint32_t capacity;
    /// Empty heaps of one capacity. `upper` has distances that rows are not beyond.
    cordwood_topk *upper;
    cordwood_topk *nearest;
    /// Counts the rows that were compared again, from whatever it was before.
    uint64_t compared;

    // What the search itself keeps.
    cordwood_code_query codes;
    cordwood_flat_slack slack;
    uint32_t candidate_count;
} cordwood_flat_search;

/// Offers to each search's `nearest` every row, or with `allowed` every row whose bit is set, so
/// that it has what `cordwood_element_scan` of all would leave there: no row is passed over that
/// could be nearer than the farthest that is kept, or as near.
///
/// `allowed` is whole words, whose bits behind the last row are zeros.
///
/// One query is bound by memory bandwidth: it reads the codes once. Many share each block of codes
/// while it is in the caches.
void cordwood_flat_scan(const cordwood_flat *index, const uint64_t *allowed,
                        cordwood_flat_search *searches, size_t count);

#ifdef __cplusplus
}
#endif
