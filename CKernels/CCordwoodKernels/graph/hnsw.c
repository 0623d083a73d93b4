// The whole search of one query.

#include "../include/cordwood_graph.h"

#include <string.h>

enum { REFINED_AT_ONCE = 16, SCANNED_AT_ONCE = 64, CACHE_LINE = 64, PREFETCHED_LINES = 8 };

static bool is_allowed(const cordwood_hnsw_filter *filter, uint32_t vector) {
    return !filter || (filter->vectors[vector / 64] >> vector % 64 & 1);
}

/// The vectors of a node.
static void vectors_of(const cordwood_hnsw *index, uint32_t node, uint32_t *first, uint32_t *last) {
    *first = index->starts ? index->starts[node] : node;
    *last = index->starts ? index->starts[node + 1] : node + 1;
}

static bool is_node_allowed(const cordwood_hnsw_filter *filter, uint32_t node) {
    return !filter || (filter->nodes[node / 64] >> node % 64 & 1);
}

/// Copies `count` bits.
static void copy_bits(const uint64_t *from, size_t from_bit, uint64_t *to, size_t to_bit,
                      size_t count) {
    while (count > 0) {
        size_t shift = from_bit % 64, place = to_bit % 64;
        size_t taken = 64 - (shift > place ? shift : place);
        taken = taken < count ? taken : count;
        uint64_t mask = taken == 64 ? ~0ull : (1ull << taken) - 1;
        uint64_t bits = from[from_bit / 64] >> shift & mask;
        to[to_bit / 64] = (to[to_bit / 64] & ~(mask << place)) | bits << place;
        from_bit += taken;
        to_bit += taken;
        count -= taken;
    }
}

void cordwood_hnsw_filter_nodes(const cordwood_hnsw *index, const uint64_t *vectors,
                                const uint32_t *shared, uint32_t count, uint64_t *nodes) {
    uint32_t node = 0, end = index->graph.levels[0].count;
    nodes[(end - 1) / 64] = 0;
    for (uint32_t i = 0; i <= count; i++) {
        // Between two shared nodes each node is one vector.
        uint32_t next = i < count ? shared[i] : end, first, last;
        if (next > node) {
            copy_bits(vectors, index->starts[node], nodes, node, next - node);
        }
        if (next == end) {
            break;
        }
        uint64_t bit = 0;
        vectors_of(index, next, &first, &last);
        for (; first < last; first++) {
            bit |= vectors[first / 64] >> first % 64 & 1;
        }
        nodes[next / 64] = (nodes[next / 64] & ~(1ull << next % 64)) | bit << next % 64;
        node = next + 1;
    }
}

static void offer_vectors(const cordwood_hnsw *index, cordwood_candidate candidate,
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
static void refine(const cordwood_hnsw *index, const cordwood_element_query *query,
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
static void ask_for_vectors(const cordwood_hnsw *index, const cordwood_candidate *candidates,
                            uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t node = candidates[i].node;
        __builtin_prefetch(index->starts ? (const void *)(index->starts + node)
                                         : (const void *)(index->ids + node));
    }
}

/// Offers the first `refined` candidates that have an allowed vector, at their exact distances
/// where there are exact rows.
static void offer_pool(const cordwood_hnsw *index, const cordwood_element_query *query,
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

/// Keeps the `capacity` nearest candidates in order. Of many, few are near enough to get this far.
static void keep_nearest(cordwood_candidate *pool, uint32_t *count, uint32_t capacity,
                         cordwood_candidate candidate) {
    if (*count == capacity && !(candidate.distance < pool[capacity - 1].distance)) {
        return;
    }
    uint32_t place = *count < capacity ? (*count)++ : capacity - 1;
    for (; place > 0 && pool[place - 1].distance > candidate.distance; place--) {
        pool[place] = pool[place - 1];
    }
    pool[place] = candidate;
}

/// A query in each form that an index compares.
typedef struct {
    cordwood_f32_query floats;
    cordwood_code_query codes;
    /// For exact rows.
    cordwood_element_query exact;
} prepared_query;

static void prepare(const cordwood_hnsw *index, const float *vector, cordwood_hnsw_scratch *scratch,
                    prepared_query *query) {
    if (index->normalizes) {
        cordwood_f32_normalize(vector, index->dimensions, scratch->query);
    } else {
        memcpy(scratch->query, vector, index->dimensions * sizeof(float));
    }
    query->floats =
        (cordwood_f32_query){scratch->query, index->dimensions, index->metric, index->base};
    query->exact = (cordwood_element_query){index->exact_element, scratch->query, index->dimensions,
                                            index->metric, index->base};
    if (index->rows.kind == CORDWOOD_ROW_CODES) {
        cordwood_code_query_prepare(index->rows.quantizer, scratch->query, scratch->components,
                                    &query->codes);
    }
}

uint32_t cordwood_hnsw_search(const cordwood_hnsw *index, const float *vector,
                              const cordwood_hnsw_effort *effort,
                              const cordwood_hnsw_filter *filter, cordwood_hnsw_scratch *scratch,
                              cordwood_topk *topk) {
    prepared_query prepared;
    prepare(index, vector, scratch, &prepared);
    cordwood_graph_query query = {.floats = &prepared.floats, .codes = &prepared.codes};
    cordwood_graph_scratch *walk = &scratch->walk;
    uint32_t found;
    if (filter && effort->detours > 0) {
        cordwood_graph_filter allowed = {filter->nodes, effort->detours};
        found = cordwood_graph_search_allowed(&index->graph, &index->rows, &query, effort->ef,
                                              effort->beam, &allowed, walk);
    } else {
        found = cordwood_graph_search(&index->graph, &index->rows, &query, 0, effort->ef,
                                      effort->beam, walk);
    }
    offer_pool(index, &prepared.exact, scratch, found, effort->refined, filter, topk);
    return found;
}

/// The next nodes that are allowed, from `*next` on; returns their number.
static uint32_t next_nodes(const cordwood_hnsw *index, const cordwood_hnsw_filter *filter,
                           uint32_t *next, uint32_t nodes[SCANNED_AT_ONCE]) {
    const uint32_t end = index->graph.levels[0].count;
    uint32_t count = 0, node = *next;
    while (node < end && count < SCANNED_AT_ONCE) {
        if (filter) {
            uint64_t bits = filter->nodes[node / 64] >> node % 64;
            if (bits == 0) {
                node += 64 - node % 64;
                continue;
            }
            node += (uint32_t)__builtin_ctzll(bits);
        }
        nodes[count++] = node++;
    }
    *next = node < end ? node : end;
    return count;
}

void cordwood_hnsw_scan(const cordwood_hnsw *index, const float *vector,
                        const cordwood_hnsw_filter *filter, uint32_t refined,
                        cordwood_hnsw_scratch *scratch, cordwood_topk *topk) {
    prepared_query query;
    prepare(index, vector, scratch, &query);
    const bool has_codes = index->rows.kind == CORDWOOD_ROW_CODES;
    const bool by_codes = has_codes && (refined > 0 || !index->exact);
    const bool is_exact = !by_codes && index->exact;
    const uint8_t *rows = is_exact ? index->exact : index->rows.rows;
    const size_t stride = is_exact ? index->exact_stride : index->rows.stride;
    cordwood_candidate *pool = scratch->walk.pool;
    uint32_t nodes[SCANNED_AT_ONCE], pooled = 0, count;
    for (uint32_t next = 0; (count = next_nodes(index, filter, &next, nodes)) > 0;) {
        *(is_exact ? &scratch->exact_count : &scratch->walk.distance_count) += count;
        const uint8_t *addresses[SCANNED_AT_ONCE];
        float distances[SCANNED_AT_ONCE];
        for (uint32_t i = 0; i < count; i++) {
            addresses[i] = rows + nodes[i] * stride;
        }
        if (by_codes) {
            cordwood_code_distances(index->rows.quantizer, &query.codes, addresses, count,
                                    distances);
        } else if (is_exact) {
            cordwood_element_distances(&query.exact, (const void *const *)addresses, count,
                                       distances);
        } else {
            cordwood_f32_distances(&query.floats, (const float *const *)addresses, count,
                                   distances);
        }
        for (uint32_t i = 0; i < count; i++) {
            cordwood_candidate candidate = {distances[i], nodes[i]};
            if (refined > 0) {
                keep_nearest(pool, &pooled, refined, candidate);
            } else if (!(distances[i] > topk->threshold)) {
                offer_vectors(index, candidate, filter, topk);
            }
        }
    }
    if (refined > 0) {
        offer_pool(index, &query.exact, scratch, pooled, refined, filter, topk);
    }
}
