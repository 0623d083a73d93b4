/// Blocks without an instruction set's help.
#pragma once

#include "pq.h"

INLINE uint32_t near_bits(const cordwood_pq_query *query, const float *sums, const float *terms,
                          float shift, float limit, float *distances) {
    uint32_t near = 0;
    for (size_t row = 0; row < CORDWOOD_PQ_BLOCK; row++) {
        float scaled = query->pq->bits == 4 ? query->scale * sums[row] : sums[row];
        float distance = scaled + shift;
        if (terms) {
            distance += terms[row];
        }
        distances[row] = distance;
        near |= (uint32_t) !(distance > limit) << row;
    }
    return near;
}

INLINE uint32_t plain_eight_bit_block(const cordwood_pq_query *query, const uint8_t *block,
                                      const float *terms, float shift, float limit,
                                      float *distances) {
    float sums[CORDWOOD_PQ_BLOCK] = {0};
    for (size_t group = 0; group < query->pq->groups; group++, block += CORDWOOD_PQ_BLOCK) {
        for (size_t row = 0; row < CORDWOOD_PQ_BLOCK; row++) {
            sums[row] += query->floats[256 * group + block[row]];
        }
    }
    return near_bits(query, sums, terms, shift, limit, distances);
}
