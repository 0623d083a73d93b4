/// Sums of products of codes and whole numbers with NEON's dot products, which multiply and sum
/// sixteen pairs of signed bytes in one instruction. To be included where the functions are
/// compiled for them.
#pragma once

#include <arm_neon.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// The sums over four pairs of a query and a row. With `is_half`, a byte of a row has two codes.
/// Codes of 8 bits are multiplied less 128, which the query's sum, times 128, puts right.
static inline __attribute__((always_inline)) void four_dots(bool is_half,
                                                            const int8_t *const queries[4],
                                                            const uint8_t *const rows[4],
                                                            size_t bytes, int32_t dots[4]) {
    int32x4_t sums[4], numbers[4];
    for (int k = 0; k < 4; k++) {
        sums[k] = numbers[k] = vdupq_n_s32(0);
    }
    for (size_t i = 0; i < bytes; i += 16) {
        for (int k = 0; k < 4; k++) {
            const uint8x16_t codes = vld1q_u8(rows[k] + i);
            const int8x16_t query = vld1q_s8(queries[k] + i);
            if (is_half) {
                const int8x16_t low = vreinterpretq_s8_u8(vandq_u8(codes, vdupq_n_u8(15)));
                const int8x16_t high = vreinterpretq_s8_u8(vshrq_n_u8(codes, 4));
                sums[k] = vdotq_s32(sums[k], low, query);
                sums[k] = vdotq_s32(sums[k], high, vld1q_s8(queries[k] + bytes + i));
            } else {
                const int8x16_t less = vreinterpretq_s8_u8(veorq_u8(codes, vdupq_n_u8(128)));
                sums[k] = vdotq_s32(sums[k], less, query);
                numbers[k] = vdotq_s32(numbers[k], query, vdupq_n_s8(1));
            }
        }
    }
    for (int k = 0; k < 4; k++) {
        dots[k] = vaddvq_s32(vaddq_s32(sums[k], vshlq_n_s32(numbers[k], 7)));
    }
}
