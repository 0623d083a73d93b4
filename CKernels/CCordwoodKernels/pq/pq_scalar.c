// Product quantization in plain C.

#include "plain_blocks.h"

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

static bool supported(void) { return true; }

INLINE uint32_t four_bit_block(const cordwood_pq_query *query, const uint8_t *block,
                               const float *terms, float shift, float limit, float *distances) {
    uint16_t whole[CORDWOOD_PQ_BLOCK] = {0};
    for (size_t group = 0; group < query->pq->groups; group++, block += 16) {
        const uint8_t *table = query->bytes + 16 * group;
        for (size_t row = 0; row < 16; row++) {
            whole[row] = (uint16_t)(whole[row] + table[block[row] & 15]);
            whole[row + 16] = (uint16_t)(whole[row + 16] + table[block[row] >> 4]);
        }
    }
    float sums[CORDWOOD_PQ_BLOCK];
    for (size_t row = 0; row < CORDWOOD_PQ_BLOCK; row++) {
        sums[row] = (float)whole[row];
    }
    return near_bits(query, sums, terms, shift, limit, distances);
}

#define eight_bit_block plain_eight_bit_block
#define KERNELS cordwood_pq_scalar
#define SUPPORTED supported
#include "loops.h"
