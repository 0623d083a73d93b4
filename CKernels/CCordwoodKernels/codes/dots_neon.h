/// Sums of products of codes and whole numbers with NEON. Both are widened to 16 bits.
#pragma once

#include <arm_neon.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline __attribute__((always_inline)) int32x4_t add_products(int32x4_t sum, uint8x16_t codes,
                                                                    const int8_t *query) {
    int8x16_t numbers = vld1q_s8(query);
    int16x8_t low = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(codes)));
    int16x8_t high = vreinterpretq_s16_u16(vmovl_high_u8(codes));
    int16x8_t low_query = vmovl_s8(vget_low_s8(numbers));
    int16x8_t high_query = vmovl_high_s8(numbers);
    sum = vmlal_s16(sum, vget_low_s16(low), vget_low_s16(low_query));
    sum = vmlal_high_s16(sum, low, low_query);
    sum = vmlal_s16(sum, vget_low_s16(high), vget_low_s16(high_query));
    return vmlal_high_s16(sum, high, high_query);
}

/// The sums over four pairs of a query and a row. With `is_half`, a byte of a row has two codes.
static inline __attribute__((always_inline)) void four_dots(bool is_half,
                                                            const int8_t *const queries[4],
                                                            const uint8_t *const rows[4],
                                                            size_t bytes, int32_t dots[4]) {
    int32x4_t sums[4] = {vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0)};
    for (size_t i = 0; i < bytes; i += 16) {
        for (int k = 0; k < 4; k++) {
            uint8x16_t codes = vld1q_u8(rows[k] + i);
            if (is_half) {
                sums[k] = add_products(sums[k], vandq_u8(codes, vdupq_n_u8(15)), queries[k] + i);
                sums[k] = add_products(sums[k], vshrq_n_u8(codes, 4), queries[k] + bytes + i);
            } else {
                sums[k] = add_products(sums[k], codes, queries[k] + i);
            }
        }
    }
    for (int k = 0; k < 4; k++) {
        dots[k] = vaddvq_s32(sums[k]);
    }
}
