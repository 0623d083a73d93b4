/// Sums over the signs and codes of rows in plain C.
#pragma once

#include "layout.h"

INLINE void block_sums(const uint8_t *tables, const uint8_t *signs, size_t bytes,
                       int32_t sums[BLOCK]) {
    memset(sums, 0, BLOCK * sizeof(int32_t));
    for (size_t i = 0; i < bytes; i++, tables += 32, signs += BLOCK) {
        for (size_t row = 0; row < BLOCK; row++) {
            sums[row] += tables[signs[row] & 15] + tables[16 + (signs[row] >> 4)];
        }
    }
}

INLINE uint32_t not_beyond(const float bounds[BLOCK], float threshold) {
    uint32_t mask = 0;
    for (size_t i = 0; i < BLOCK; i++) {
        mask |= (uint32_t) !(bounds[i] > threshold) << i;
    }
    return mask;
}

INLINE void code_dots(const uint8_t *codes, const int8_t *high, const int8_t *low,
                      size_t dimensions, int32_t dots[2]) {
    int32_t sums[2] = {0, 0};
    for (size_t d = 0; d < dimensions; d++) {
        sums[0] += codes[d] * high[d];
        sums[1] += codes[d] * low[d];
    }
    dots[0] = sums[0];
    dots[1] = sums[1];
}
