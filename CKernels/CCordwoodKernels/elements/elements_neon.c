// Halves, bytes and bits with NEON, which every 64-bit ARM processor has.

#include <stdbool.h>

#if defined(__aarch64__)
#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define INLINED static inline __attribute__((always_inline))

// MARK: Halves

INLINED float32x4_t add_half_terms(bool l2, bool is_bf16, float32x4_t sum, float32x4_t query,
                                   uint16x4_t halves) {
    float32x4_t row = is_bf16 ? vreinterpretq_f32_u32(vshll_n_u16(halves, 16))
                              : vcvt_f32_f16(vreinterpret_f16_u16(halves));
    if (l2) {
        row = vsubq_f32(query, row);
        query = row;
    }
    return vfmaq_f32(sum, query, row);
}

/// The sum over one row, as four partial sums.
INLINED float32x4_t half_row_sum(bool l2, bool is_bf16, const float *query, const uint16_t *row,
                                 size_t dimensions) {
    float32x4_t sums[4];
    for (int part = 0; part < 4; part++) {
        sums[part] = vdupq_n_f32(0);
    }
    size_t i = 0;
    for (; i + 16 <= dimensions; i += 16) {
        for (int part = 0; part < 4; part++) {
            sums[part] = add_half_terms(l2, is_bf16, sums[part], vld1q_f32(query + i + 4 * part),
                                        vld1_u16(row + i + 4 * part));
        }
    }
    for (; i + 4 <= dimensions; i += 4) {
        sums[0] = add_half_terms(l2, is_bf16, sums[0], vld1q_f32(query + i), vld1_u16(row + i));
    }
    if (i < dimensions) {
        uint16_t halves[4] = {0};
        float floats[4] = {0};
        memcpy(halves, row + i, (dimensions - i) * sizeof(uint16_t));
        memcpy(floats, query + i, (dimensions - i) * sizeof(float));
        sums[1] = add_half_terms(l2, is_bf16, sums[1], vld1q_f32(floats), vld1_u16(halves));
    }
    return vaddq_f32(vaddq_f32(sums[0], sums[1]), vaddq_f32(sums[2], sums[3]));
}

INLINED void four_half_sums(bool l2, bool is_bf16, const float *query, const void *const rows[4],
                            size_t dimensions, float sums[4]) {
    for (int k = 0; k < 4; k++) {
        sums[k] = vaddvq_f32(half_row_sum(l2, is_bf16, query, rows[k], dimensions));
    }
}

// MARK: Whole numbers

INLINED uint32x4_t add_byte_terms(bool l2, bool is_signed, uint32x4_t sum, uint8x16_t query,
                                  uint8x16_t row) {
    if (is_signed && !l2) {
        int8x16_t a = vreinterpretq_s8_u8(query), b = vreinterpretq_s8_u8(row);
        int32x4_t total = vreinterpretq_s32_u32(sum);
        total = vpadalq_s16(total, vmull_s8(vget_low_s8(a), vget_low_s8(b)));
        return vreinterpretq_u32_s32(vpadalq_s16(total, vmull_high_s8(a, b)));
    }
    if (l2) {
        query = is_signed ? vreinterpretq_u8_s8(
                                vabdq_s8(vreinterpretq_s8_u8(query), vreinterpretq_s8_u8(row)))
                          : vabdq_u8(query, row);
        row = query;
    }
    sum = vpadalq_u16(sum, vmull_u8(vget_low_u8(query), vget_low_u8(row)));
    return vpadalq_u16(sum, vmull_high_u8(query, row));
}

INLINED void four_byte_sums(bool l2, bool is_signed, const uint8_t *query,
                            const void *const rows[4], size_t dimensions, uint32_t sums[4]) {
    for (int k = 0; k < 4; k++) {
        const uint8_t *row = rows[k];
        uint32x4_t sum = vdupq_n_u32(0);
        size_t i = 0;
        for (; i + 16 <= dimensions; i += 16) {
            sum = add_byte_terms(l2, is_signed, sum, vld1q_u8(query + i), vld1q_u8(row + i));
        }
        if (i < dimensions) {
            uint8_t rest[2][16] = {{0}, {0}};
            memcpy(rest[0], query + i, dimensions - i);
            memcpy(rest[1], row + i, dimensions - i);
            sum = add_byte_terms(l2, is_signed, sum, vld1q_u8(rest[0]), vld1q_u8(rest[1]));
        }
        sums[k] = vaddvq_u32(sum);
    }
}

INLINED uint32_t missing_term(bool is_signed, const uint8_t *query, size_t dimensions) {
    (void)is_signed, (void)query, (void)dimensions;
    return 0;
}

// MARK: Bits

INLINED uint32x4_t add_bits(bool l2, uint32x4_t sum, uint8x16_t query, uint8x16_t row) {
    uint8x16_t counts = vcntq_u8(l2 ? veorq_u8(query, row) : vandq_u8(query, row));
    return vpadalq_u16(sum, vpaddlq_u8(counts));
}

INLINED void four_bit_sums(bool l2, const uint64_t *query, const void *const rows[4], size_t words,
                           uint32_t sums[4]) {
    for (int k = 0; k < 4; k++) {
        const uint8_t *row = rows[k], *own = (const uint8_t *)query;
        uint32x4_t sum = vdupq_n_u32(0);
        size_t i = 0;
        for (; i + 16 <= 8 * words; i += 16) {
            sum = add_bits(l2, sum, vld1q_u8(own + i), vld1q_u8(row + i));
        }
        if (i < 8 * words) {
            uint8_t rest[2][16] = {{0}, {0}};
            memcpy(rest[0], own + i, 8);
            memcpy(rest[1], row + i, 8);
            sum = add_bits(l2, sum, vld1q_u8(rest[0]), vld1q_u8(rest[1]));
        }
        sums[k] = vaddvq_u32(sum);
    }
}

static bool supported(void) { return true; }

#define KERNELS cordwood_element_neon
#define SUPPORTED supported
#include "loops.h"
#endif
