/// Sums over the signs and codes of rows with NEON.
#pragma once

#include "layout.h"

#include <arm_neon.h>

/// Sums of 16 bits hold so many bytes of signs, each at most 254.
enum { BYTES_AT_ONCE = 256 };

/// A byte of signs is two looks into tables in registers, for sixteen rows at a time.
INLINE void block_sums(const uint8_t *tables, const uint8_t *signs, size_t bytes,
                       int32_t sums[BLOCK]) {
    const uint8x16_t low = vdupq_n_u8(15);
    memset(sums, 0, BLOCK * sizeof(int32_t));
    for (size_t start = 0; start < bytes; start += BYTES_AT_ONCE) {
        const size_t end = start + BYTES_AT_ONCE < bytes ? start + BYTES_AT_ONCE : bytes;
        uint16x8_t eights[4] = {vdupq_n_u16(0), vdupq_n_u16(0), vdupq_n_u16(0), vdupq_n_u16(0)};
        for (size_t i = start; i < end; i++) {
            uint8x16_t first = vld1q_u8(tables + i * 32), second = vld1q_u8(tables + i * 32 + 16);
            for (int part = 0; part < 2; part++) {
                uint8x16_t pair = vld1q_u8(signs + i * BLOCK + 16 * part);
                uint8x16_t sum = vaddq_u8(vqtbl1q_u8(first, vandq_u8(pair, low)),
                                          vqtbl1q_u8(second, vshrq_n_u8(pair, 4)));
                eights[2 * part] = vaddw_u8(eights[2 * part], vget_low_u8(sum));
                eights[2 * part + 1] = vaddw_high_u8(eights[2 * part + 1], sum);
            }
        }
        for (int part = 0; part < 4; part++) {
            int32_t *place = sums + 8 * part;
            uint32x4_t front = vmovl_u16(vget_low_u16(eights[part]));
            uint32x4_t back = vmovl_high_u16(eights[part]);
            vst1q_s32(place, vaddq_s32(vld1q_s32(place), vreinterpretq_s32_u32(front)));
            vst1q_s32(place + 4, vaddq_s32(vld1q_s32(place + 4), vreinterpretq_s32_u32(back)));
        }
    }
}

INLINE uint32_t not_beyond(const float bounds[BLOCK], float threshold) {
    static const uint32_t bits[4] = {1, 2, 4, 8};
    uint32_t mask = 0;
    for (int part = 0; part < BLOCK / 4; part++) {
        uint32x4_t beyond = vcgtq_f32(vld1q_f32(bounds + 4 * part), vdupq_n_f32(threshold));
        mask |= vaddvq_u32(vbicq_u32(vld1q_u32(bits), beyond)) << 4 * part;
    }
    return mask;
}

typedef struct {
    int32x4_t high, low;
} half_sums;

INLINE half_sums no_sums(void) { return (half_sums){vdupq_n_s32(0), vdupq_n_s32(0)}; }

/// The query's halves are at most 64, so that products of theirs and fields fit 16 bits.
INLINE int32x4_t add_products(int32x4_t sum, uint8x8_t fields, const int8_t *half) {
    int16x8_t numbers = vreinterpretq_s16_u16(vmovl_u8(fields));
    return vpadalq_s16(sum, vmulq_s16(numbers, vmovl_s8(vld1_s8(half))));
}

INLINE void add_fields(const uint8_t *fields, uint32_t width, size_t count, const int8_t *high,
                       const int8_t *low, half_sums *sums) {
    const uint8x8_t mask = vdup_n_u8((uint8_t)((1 << width) - 1));
    const int32x4_t up = vdupq_n_s32((int32_t)width);
    int32x4_t highs = vshlq_s32(sums->high, up), lows = vshlq_s32(sums->low, up);
    for (size_t i = 0; i < count; i += 8) {
        uint8x8_t bytes = vld1_u8(fields + i);
        for (uint32_t k = 0; k < 8 / width; k++) {
            uint8x8_t found =
                vand_u8(vshl_u8(bytes, vdup_n_s8((int8_t) - (int32_t)(k * width))), mask);
            highs = add_products(highs, found, high + k * count + i);
            lows = add_products(lows, found, low + k * count + i);
        }
    }
    *sums = (half_sums){highs, lows};
}

INLINE void totals(const half_sums *sums, int32_t dots[2]) {
    dots[0] = vaddvq_s32(sums->high);
    dots[1] = vaddvq_s32(sums->low);
}
