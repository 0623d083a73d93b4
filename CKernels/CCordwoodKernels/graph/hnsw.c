// The search of one query by a walk, and filters by node.

#include "results.h"

/// Writes `count` whole words of the bits from bit `shift` of the first on, below 64.
static void copy_words(const uint64_t *from, size_t shift, uint64_t *to, size_t count) {
    if (shift == 0) {
        memcpy(to, from, count * sizeof(uint64_t));
        return;
    }
    for (size_t i = 0; i < count; i++) {
        to[i] = from[i] >> shift | from[i + 1] << (64 - shift);
    }
}

/// Copies `count` bits.
static void copy_bits(const uint64_t *from, size_t from_bit, uint64_t *to, size_t to_bit,
                      size_t count) {
    while (count > 0) {
        size_t shift = from_bit % 64, place = to_bit % 64, taken;
        if (place == 0 && count >= 64) {
            taken = count / 64 * 64;
            copy_words(from + from_bit / 64, shift, to + to_bit / 64, taken / 64);
        } else {
            taken = 64 - (shift > place ? shift : place);
            taken = taken < count ? taken : count;
            uint64_t mask = ((1ull << (taken - 1)) - 1) << 1 | 1;
            uint64_t bits = from[from_bit / 64] >> shift & mask;
            to[to_bit / 64] = (to[to_bit / 64] & ~(mask << place)) | bits << place;
        }
        from_bit += taken;
        to_bit += taken;
        count -= taken;
    }
}

uint32_t cordwood_hnsw_filter_nodes(const cordwood_hnsw *index, const uint64_t *vectors,
                                    const uint32_t *shared, uint32_t count, uint64_t *nodes) {
    uint32_t node = 0, end = index->graph.levels[0].count, merged = 0;
    nodes[(end - 1) / 64] = 0;
    for (uint32_t i = 0; i <= count; i++) {
        // Between two shared nodes each node is one vector.
        uint32_t next = i < count ? shared[i] : end, first, last, allowed = 0;
        if (next > node) {
            copy_bits(vectors, index->starts[node], nodes, node, next - node);
        }
        if (next == end) {
            break;
        }
        vectors_of(index, next, &first, &last);
        for (; first < last; first++) {
            allowed += vectors[first / 64] >> first % 64 & 1;
        }
        uint64_t bit = allowed > 0;
        merged += allowed - (uint32_t)bit;
        nodes[next / 64] = (nodes[next / 64] & ~(1ull << next % 64)) | bit << next % 64;
        node = next + 1;
    }
    return merged;
}

uint32_t cordwood_hnsw_search(const cordwood_hnsw *index, const float *vector,
                              const cordwood_hnsw_effort *effort,
                              const cordwood_hnsw_filter *filter, cordwood_hnsw_scratch *scratch,
                              cordwood_topk *topk) {
    prepared_query prepared;
    prepare(index, vector, scratch->query, scratch->components, &prepared);
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
