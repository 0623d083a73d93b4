// What is the same for every instruction set.

#include "pq.h"

size_t cordwood_pq_block_bytes(const cordwood_pq *pq) { return pq_block_bytes(pq); }

size_t cordwood_pq_table_floats(const cordwood_pq *pq) { return pq->groups * pq_centroids(pq); }

size_t cordwood_pq_table_bytes(const cordwood_pq *pq) {
    return pq->bits == 4 ? pq_padded_groups(pq) * pq_centroids(pq) : 0;
}

void cordwood_pq_decode(const cordwood_pq *pq, const uint8_t *block, size_t row, float *vector) {
    const size_t centroids = pq_centroids(pq);
    for (size_t group = 0; group < pq->groups; group++) {
        size_t code = pq->bits == 4 ? block[16 * group + row % 16] >> (row / 16 * 4) & 15
                                    : block[CORDWOOD_PQ_BLOCK * group + row];
        for (size_t t = 0; t < pq->width; t++) {
            vector[group * pq->width + t] =
                pq->centroids[(group * pq->width + t) * centroids + code];
        }
    }
}
