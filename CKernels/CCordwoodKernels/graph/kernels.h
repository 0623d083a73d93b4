/// The functions of one instruction set, as a table: the end of each of its files, which define
/// KERNELS and SUPPORTED.
#include "build.h"
#include "graph.h"

static void prepare(const cordwood_quantizer *quantizer, const float *vector, int8_t *room,
                    cordwood_code_query *query) {
    prepare_vector(quantizer, vector, room, query);
}

INLINE void code_distances_as(bool l2, bool is_half, const cordwood_code_query *query,
                              const uint8_t *const *rows, size_t count, size_t bytes,
                              float *distances) {
    const cordwood_code_query *queries[4] = {query, query, query, query};
    for (size_t i = 0; i < count; i += 4) {
        const uint8_t *four[4];
        for (size_t k = 0; k < 4; k++) {
            four[k] = rows[i + k < count ? i + k : i];
        }
        float values[4];
        four_code_distances(l2, is_half, queries, four, bytes, values);
        memcpy(distances + i, values, (count - i < 4 ? count - i : 4) * sizeof(float));
    }
}

static void code_distances(const cordwood_quantizer *quantizer, const cordwood_code_query *query,
                           const uint8_t *const *rows, size_t count, float *distances) {
    size_t bytes = code_bytes(quantizer);
    bool l2 = quantizer->metric == CORDWOOD_L2, is_half = quantizer->bits == 4;
    if (l2 && is_half) {
        code_distances_as(true, true, query, rows, count, bytes, distances);
    } else if (l2) {
        code_distances_as(true, false, query, rows, count, bytes, distances);
    } else if (is_half) {
        code_distances_as(false, true, query, rows, count, bytes, distances);
    } else {
        code_distances_as(false, false, query, rows, count, bytes, distances);
    }
}

const cordwood_graph_kernels KERNELS = {SUPPORTED,      prepare, code_distances,   search,
                                        search_allowed, propose, accept_proposals, merge_lists};
