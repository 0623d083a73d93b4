/// What searches of one query have in common, however they find its candidates.
#pragma once

#include "../include/cordwood_graph.h"

#include <string.h>

enum { REFINED_AT_ONCE = 16, CACHE_LINE = 64, PREFETCHED_LINES = 8 };

static inline bool is_allowed(const cordwood_hnsw_filter *filter, uint32_t vector) {
    return !filter || (filter->vectors[vector / 64] >> vector % 64 & 1);
}

/// The vectors of a node.
static inline void vectors_of(const cordwood_hnsw *index, uint32_t node, uint32_t *first,
                              uint32_t *last) {
    *first = index->starts ? index->starts[node] : node;
    *last = index->starts ? index->starts[node + 1] : node + 1;
}

static inline bool is_node_allowed(const cordwood_hnsw_filter *filter, uint32_t node) {
    return !filter || (filter->nodes[node / 64] >> node % 64 & 1);
}

static inline void offer_vectors(const cordwood_hnsw *index, cordwood_candidate candidate,
                                 const cordwood_hnsw_filter *filter, cordwood_topk *topk) {
    uint32_t first, last;
    vectors_of(index, candidate.node, &first, &last);
    for (; first < last; first++) {
        if (is_allowed(filter, first) && !(candidate.distance > topk->threshold)) {
            cordwood_topk_push(topk, candidate.distance, index->ids[first]);
        }
    }
}

/// Gives some candidates their exact distances. Their rows are asked for all at once, since each
/// lies where no one could have foreseen.
static inline void refine(const cordwood_hnsw *index, const cordwood_element_query *query,
                          cordwood_candidate *candidates, uint32_t count) {
    const void *rows[REFINED_AT_ONCE];
    float distances[REFINED_AT_ONCE];
    const size_t bytes = cordwood_element_row_bytes(query->element, query->dimensions);
    for (uint32_t i = 0; i < count; i++) {
        rows[i] = index->exact + candidates[i].node * index->exact_stride;
        for (size_t byte = 0; byte < bytes && byte < PREFETCHED_LINES * CACHE_LINE;
             byte += CACHE_LINE) {
            __builtin_prefetch((const uint8_t *)rows[i] + byte);
        }
    }
    cordwood_element_distances(query, rows, count, distances);
    for (uint32_t i = 0; i < count; i++) {
        candidates[i].distance = distances[i];
    }
}

/// Asks for what says which vectors a node stands for, which lies anywhere too.
static inline void ask_for_vectors(const cordwood_hnsw *index, const cordwood_candidate *candidates,
                                   uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t node = candidates[i].node;
        __builtin_prefetch(index->starts ? (const void *)(index->starts + node)
                                         : (const void *)(index->ids + node));
    }
}

/// Offers the first `refined` candidates that have an allowed vector, at their exact distances
/// where there are exact rows.
static inline void offer_pool(const cordwood_hnsw *index, const cordwood_element_query *query,
                              cordwood_hnsw_scratch *scratch, uint32_t found, uint32_t refined,
                              const cordwood_hnsw_filter *filter, cordwood_topk *topk) {
    cordwood_candidate *pool = scratch->walk.pool;
    uint32_t left = refined;
    for (uint32_t at = 0; at < found && left > 0;) {
        // Those to be offered move to the front of what is left.
        uint32_t count = 0, place = at;
        for (; place < found && count < left && count < REFINED_AT_ONCE; place++) {
            if (is_node_allowed(filter, pool[place].node)) {
                pool[at + count++] = pool[place];
            }
        }
        ask_for_vectors(index, pool + at, count);
        if (index->exact) {
            refine(index, query, pool + at, count);
            scratch->exact_count += count;
        }
        for (uint32_t i = 0; i < count; i++) {
            offer_vectors(index, pool[at + i], filter, topk);
        }
        left -= count;
        at = place;
    }
}

/// A query in each form that an index compares.
typedef struct {
    cordwood_f32_query floats;
    cordwood_code_query codes;
    /// For exact rows.
    cordwood_element_query exact;
} prepared_query;

/// Over memory for the query's floats and its components.
static inline void prepare(const cordwood_hnsw *index, const float *vector, float *floats,
                           int8_t *components, prepared_query *query) {
    if (index->normalizes) {
        cordwood_f32_normalize(vector, index->dimensions, floats);
    } else {
        memcpy(floats, vector, index->dimensions * sizeof(float));
    }
    query->floats = (cordwood_f32_query){floats, index->dimensions, index->metric, index->base};
    query->exact = (cordwood_element_query){index->exact_element, floats, index->dimensions,
                                            index->metric, index->base};
    if (index->rows.kind == CORDWOOD_ROW_CODES) {
        cordwood_code_query_prepare(index->rows.quantizer, floats, components, &query->codes);
    }
}
