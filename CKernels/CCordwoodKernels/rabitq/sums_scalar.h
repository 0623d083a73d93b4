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

typedef struct {
    int32_t high, low;
} half_sums;

INLINE half_sums no_sums(void) { return (half_sums){0, 0}; }

INLINE void add_fields(const uint8_t *fields, uint32_t width, size_t count, const int8_t *high,
                       const int8_t *low, half_sums *sums) {
    sums->high *= 1 << width;
    sums->low *= 1 << width;
    for (uint32_t k = 0; k < 8 / width; k++, high += count, low += count) {
        for (size_t i = 0; i < count; i++) {
            int32_t field = fields[i] >> k * width & ((1 << width) - 1);
            sums->high += field * high[i];
            sums->low += field * low[i];
        }
    }
}

INLINE void totals(const half_sums *sums, int32_t dots[2]) {
    dots[0] = sums->high;
    dots[1] = sums->low;
}
