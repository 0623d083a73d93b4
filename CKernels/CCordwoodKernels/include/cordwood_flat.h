/// Exact search over rows that do not change: their codes are read first, and the rows that may be
/// among the nearest, whatever the codes have rounded away, are compared again.
#pragma once

#include "cordwood_codes.h"
#include "cordwood_elements.h"

#ifdef __cplusplus
extern "C" {
#endif

// MARK: Codes

enum {
    /// Rows whose codes are interleaved.
    CORDWOOD_FLAT_GROUP = 16,
    /// Groups that are read side by side.
    CORDWOOD_FLAT_TILE_GROUPS = 4,
    /// Rows that are described together, and read while they are in the first caches.
    CORDWOOD_FLAT_BLOCK = 256,
    /// Queries that are compared with codes together.
    CORDWOOD_FLAT_PROBES = 4,
};

/// What holds for each of a block's rows: none of it is more.
typedef struct cordwood_flat_bounds {
    /// How far the row is from what its codes stand for, for each unit of its `errors`.
    float unit;
    /// The length of the row's codes, each less half, as a vector.
    float codes;
    /// For L2 the row's term, and else 0.
    float term;
    /// The length of the row.
    float length;
} cordwood_flat_bounds;

/// The codes of rows, and what they have lost.
///
/// The codes of sixteen rows, a group, are interleaved as PQ FastScan does (André, Kermarrec and
/// Le Scouarnec, VLDB 2015), in steps of 64 bytes: of 8 bits a step has four components of each
/// row, so that byte 4 r + i is component i of row r; of 4 bits it has eight, of which byte 4 r + i
/// has component i in its low half and component 4 + i in its high half. So a register has all
/// rows' sums one beside the other, and components are padded to a multiple of four or eight alone.
///
/// Four groups, or what is left at the end, are a tile: step 0 of each of them, step 1 of each, and
/// so on. Sums of four groups do not wait for each other, and memory is read in order, which with
/// 384 components was 1.4 times as fast as one group behind the other.
typedef struct cordwood_flat_codes {
    const cordwood_quantizer *quantizer;
    /// `cordwood_flat_group_bytes` for each group of rows, the last of which may be padding.
    const uint8_t *codes;
    /// For L2, for each row of each group, the squared norm of what its codes stand for, less the
    /// centers.
    const float *terms;
    /// For each row of each group a multiple of its block's `unit`.
    const uint8_t *errors;
    /// One for each block.
    const cordwood_flat_bounds *bounds;
} cordwood_flat_codes;

/// Bytes of the codes of a group of rows.
size_t cordwood_flat_group_bytes(const cordwood_quantizer *quantizer);

/// Writes the codes of a block of `count` rows, of which there is one every `stride` floats, and
/// what they have lost: whole groups, filled up with rows of no difference. `terms` is not touched
/// but for L2. O(count * dimensions), in double precision and rounded up: the same bytes on every
/// instruction set.
void cordwood_flat_encode(const cordwood_quantizer *quantizer, const float *rows, size_t stride,
                          size_t count, uint8_t *codes, float *terms, uint8_t *errors,
                          cordwood_flat_bounds *bounds);

// MARK: Selecting

/// A query, and how far a row's codes may be from it: `limit + e * (linear + e * square)` for a row
/// whose error is e units. `square` is not looked at but for L2.
typedef struct cordwood_flat_probe {
    const cordwood_code_query *query;
    float limit, linear, square;
} cordwood_flat_probe;

/// Some rows of a block, by their numbers in it, and the distances of their codes.
typedef struct cordwood_flat_selection {
    uint32_t count;
    uint32_t rows[CORDWOOD_FLAT_BLOCK];
    float distances[CORDWOOD_FLAT_BLOCK];
} cordwood_flat_selection;

/// Selects for each of up to CORDWOOD_FLAT_PROBES queries the rows of the block from row `first`
/// on, `count` of them, or with `allowed` those whose bit is set, whose codes are not farther than
/// they may be. Groups without such a bit are not read.
///
/// One query is bound by memory bandwidth: codes were read at 200 GB/s from the second cache, at 70
/// from the third and at 55 from memory. As many queries as are compared together read each code
/// once, and are bound by multiply-adds, with VNNI 64 in an instruction: four queries of 50
/// components took 1.2 times as long as one.
void cordwood_flat_select(const cordwood_flat_codes *codes, uint32_t first, uint32_t count,
                          const uint64_t *allowed, const cordwood_flat_probe *probes,
                          size_t probe_count, cordwood_flat_selection *selections);

// MARK: Rows

/// Rows that do not change.
typedef struct cordwood_flat {
    /// Its quantizer is null where there are no codes, and all rows are read.
    cordwood_flat_codes codes;
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
    /// An empty heap.
    cordwood_topk *nearest;
    /// Counts the rows that were compared again, from whatever it was before.
    uint64_t compared;

    // What the search itself keeps.
    cordwood_code_query codes;
    cordwood_flat_slack slack;
    uint32_t candidate_count;
    /// More candidates than this are too many.
    uint32_t room;
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

// MARK: For tests

/// One instruction set's loops over codes.
typedef struct cordwood_flat_kernels {
    bool (*supported)(void);
    void (*select)(const cordwood_flat_codes *, uint32_t, uint32_t, const uint64_t *,
                   const cordwood_flat_probe *, size_t, cordwood_flat_selection *);
} cordwood_flat_kernels;

/// Every instruction set that was compiled in, in ascending order of speed; those of codes may not
/// be supported where those of floats are.
size_t cordwood_flat_variant_count(void);
const cordwood_flat_kernels *cordwood_flat_variant(size_t index);

#ifdef __cplusplus
}
#endif
