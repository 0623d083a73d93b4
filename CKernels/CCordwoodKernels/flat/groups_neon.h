/// Groups of codes in NEON's registers. A file defines before how four rows are taken four
/// components further:
///
///     add_four(sums, codes, numbers)
#pragma once

#include <arm_neon.h>

#include "flat.h"

/// Four rows each.
typedef struct {
    int32x4_t rows[4];
} group_sums;

/// Of 8 bits each code less half, since products are of signed bytes; of 4 bits the low halves and
/// the high ones.
typedef struct {
    int8x16_t low[4], high[4];
} step_codes;

typedef struct {
    int8x16_t low, high;
} step_numbers;

INLINE group_sums first_sums(bool is_half, const cordwood_code_query *query) {
    int32x4_t first = vdupq_n_s32(is_half ? -query->shift : 0);
    return (group_sums){{first, first, first, first}};
}

INLINE step_codes load_codes(bool is_half, const uint8_t *step) {
    step_codes codes;
    for (int i = 0; i < 4; i++) {
        uint8x16_t four = vld1q_u8(step + 16 * i);
        if (is_half) {
            codes.low[i] = vreinterpretq_s8_u8(vandq_u8(four, vdupq_n_u8(15)));
            codes.high[i] = vreinterpretq_s8_u8(vshrq_n_u8(four, 4));
        } else {
            codes.low[i] = vreinterpretq_s8_u8(veorq_u8(four, vdupq_n_u8(128)));
            codes.high[i] = codes.low[i];
        }
    }
    return codes;
}

INLINE int8x16_t four_numbers(const int8_t *components) {
    int32_t four;
    __builtin_memcpy(&four, components, sizeof four);
    return vreinterpretq_s8_s32(vdupq_n_s32(four));
}

INLINE step_numbers load_numbers(bool is_half, const int8_t *components) {
    int8x16_t low = four_numbers(components);
    return (step_numbers){low, is_half ? four_numbers(components + STEP_CODES) : low};
}

INLINE group_sums add_products(bool is_half, group_sums sums, step_codes codes,
                               step_numbers numbers) {
    for (int i = 0; i < 4; i++) {
        sums.rows[i] = add_four(sums.rows[i], codes.low[i], numbers.low);
        if (is_half) {
            sums.rows[i] = add_four(sums.rows[i], codes.high[i], numbers.high);
        }
    }
    return sums;
}

INLINE uint32_t near_rows(bool l2, const cordwood_flat_probe *probe, group_sums sums,
                          const float *terms, const uint8_t *errors, float *distances) {
    const uint32x4_t lane_bits = {1, 2, 4, 8};
    const uint8x16_t bytes = vld1q_u8(errors);
    const uint16x8_t halves[2] = {vmovl_u8(vget_low_u8(bytes)), vmovl_high_u8(bytes)};
    uint32_t near = 0;
    for (int i = 0; i < 4; i++) {
        float32x4_t base = vdupq_n_f32(probe->query->base);
        base = l2 ? vaddq_f32(base, vld1q_f32(terms + 4 * i)) : base;
        float32x4_t product = vmulq_n_f32(vcvtq_f32_s32(sums.rows[i]), probe->query->scale);
        float32x4_t distance = vsubq_f32(base, product);
        uint16x4_t four = i % 2 ? vget_high_u16(halves[i / 2]) : vget_low_u16(halves[i / 2]);
        float32x4_t error = vcvtq_f32_u32(vmovl_u16(four));
        float32x4_t more = vdupq_n_f32(probe->linear);
        more = l2 ? vaddq_f32(more, vmulq_n_f32(error, probe->square)) : more;
        float32x4_t limit = vaddq_f32(vdupq_n_f32(probe->limit), vmulq_f32(error, more));
        vst1q_f32(distances + 4 * i, distance);
        uint32x4_t is_near = vmvnq_u32(vcgtq_f32(distance, limit));
        near |= vaddvq_u32(vandq_u32(is_near, lane_bits)) << 4 * i;
    }
    return near;
}
