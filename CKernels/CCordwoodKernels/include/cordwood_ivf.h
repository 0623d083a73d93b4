/// Inverted files: rows in lists by the nearest of many centroids, of which a search reads those
/// that are near (Sivic and Zisserman, ICCV 2003; Jégou, Douze and Schmid, TPAMI 2011).
#pragma once

#include "cordwood_codes.h"
#include "cordwood_pq.h"
#include "cordwood_rabitq.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum cordwood_list_kind {
    /// The exact rows alone.
    CORDWOOD_LIST_F32 = 0,
    /// Codes of a scalar quantizer, row by row.
    CORDWOOD_LIST_CODES = 1,
    /// Blocks of a product quantizer, of what rows differ by from their list's centroid.
    CORDWOOD_LIST_PQ = 2,
    /// Blocks of RaBitQ, relative to their list's centroid.
    CORDWOOD_LIST_RABITQ = 3,
} cordwood_list_kind;

/// An index over rows that do not change. Places number them list by list.
typedef struct cordwood_ivf {
    size_t dimensions;
    cordwood_metric metric;
    float base;
    /// Whether queries are brought to unit length.
    bool normalizes;

    uint32_t list_count;
    /// `dimensions` floats to each list.
    const float *centroids;
    /// What the lists are ranked by: the centroids' codes, of this metric.
    const cordwood_quantizer *ranking;
    const uint8_t *ranking_codes;
    /// List i has the places from `starts[i]` up to `starts[i + 1]`: they rise from 0 to the count.
    const uint32_t *starts;

    cordwood_list_kind kind;
    /// Null for CORDWOOD_LIST_F32.
    const uint8_t *codes;
    const cordwood_quantizer *quantizer;
    const cordwood_pq *pq;
    const cordwood_rabitq *rabitq;
    /// As RaBitQ rotates a query, the lists' centroids rotated, and the rows' bits beside the
    /// blocks.
    const cordwood_rotation *rotation;
    const float *centers;
    const uint8_t *extra;
    /// The first block of each list, of CORDWOOD_LIST_PQ and CORDWOOD_LIST_RABITQ.
    const uint32_t *blocks;
    /// Row i is at `exact + i * dimensions`; null where the distances of codes are the result.
    const float *exact;
    const uint64_t *ids;
} cordwood_ivf;

/// How much work a search is.
typedef struct cordwood_ivf_effort {
    /// How many lists are read, at least one.
    uint32_t probes;
    /// How many rows, the nearest by their codes, are compared again: at least as many as are
    /// looked for.
    uint32_t refined;
} cordwood_ivf_effort;

/// Memory of one search at a time.
typedef struct cordwood_ivf_scratch {
    /// Room for a query: the dimensions, rounded up to whole groups. Behind the dimensions zeros,
    /// which stay.
    float *query;
    /// Room for `cordwood_code_query_bytes` of both quantizers.
    int8_t *components;
    /// Room for the tables of a product quantizer.
    float *table_floats;
    uint8_t *table_bytes;
    /// Room for a query that was rotated, and for one that RaBitQ made ready for a list.
    float *rotated;
    uint8_t *rabitq_room;
    /// Room for a distance to each list.
    float *distances;
    /// Room for two keys to each list and to each of CORDWOOD_SHORTLIST_STEP more.
    uint64_t *lists;
    /// Room for CORDWOOD_SHORTLIST_STEP keys more than are refined, best for twice as many.
    uint64_t *keys;
    uint32_t key_room;
} cordwood_ivf_scratch;

/// Offers to the heap the vectors near to a query of finite floats: of those in the nearest
/// `probes` lists, the `refined` nearest by their codes, at their exact distances where there are
/// exact rows; lists of RaBitQ instead say themselves which rows have to be compared exactly, and
/// `refined` is not read. With `allowed`, a bit for each place, only rows whose bit is set: a list
/// of which a part is allowed counts as that part of one. Reads on until there are as many rows as
/// the heap has room for, so that it ends up full whenever there are so many allowed.
void cordwood_ivf_search(const cordwood_ivf *index, const float *query,
                         const cordwood_ivf_effort *effort, const uint64_t *allowed,
                         cordwood_ivf_scratch *scratch, cordwood_topk *topk);

/// Offers every row, or with `allowed` every row whose bit is set, at its exact distance. To be
/// called of indexes with exact rows only. Bound by the bandwidth of memory.
void cordwood_ivf_scan(const cordwood_ivf *index, const float *query, const uint64_t *allowed,
                       cordwood_ivf_scratch *scratch, cordwood_topk *topk);

#ifdef __cplusplus
}
#endif
