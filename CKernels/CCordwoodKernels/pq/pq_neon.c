// Product quantization with NEON: a look-up of sixteen codes is one instruction, and so is adding
// eight results to sums of 16 bits.

#include <stdbool.h>

#if defined(__aarch64__)
#include "plain_blocks.h"

#include <arm_neon.h>

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

static bool supported(void) { return true; }

INLINE uint32_t four_bit_block(const cordwood_pq_query *query, const uint8_t *block,
                               const float *terms, float shift, float limit, float *distances) {
    const size_t groups = query->pq->groups;
    uint16x8_t sums[4] = {vdupq_n_u16(0), vdupq_n_u16(0), vdupq_n_u16(0), vdupq_n_u16(0)};
    for (size_t group = 0; group < groups; group++) {
        uint8x16_t codes = vld1q_u8(block + 16 * group);
        uint8x16_t table = vld1q_u8(query->bytes + 16 * group);
        uint8x16_t low = vqtbl1q_u8(table, vandq_u8(codes, vdupq_n_u8(15)));
        uint8x16_t high = vqtbl1q_u8(table, vshrq_n_u8(codes, 4));
        sums[0] = vaddw_u8(sums[0], vget_low_u8(low));
        sums[1] = vaddw_high_u8(sums[1], low);
        sums[2] = vaddw_u8(sums[2], vget_low_u8(high));
        sums[3] = vaddw_high_u8(sums[3], high);
    }
    const uint32x4_t lane_bits = {1, 2, 4, 8};
    uint32_t near = 0;
    for (int i = 0; i < 8; i++) {
        uint16x4_t four = i % 2 ? vget_high_u16(sums[i / 2]) : vget_low_u16(sums[i / 2]);
        float32x4_t scaled = vmulq_n_f32(vcvtq_f32_u32(vmovl_u16(four)), query->scale);
        float32x4_t sum = vaddq_f32(scaled, vdupq_n_f32(shift));
        if (terms) {
            sum = vaddq_f32(sum, vld1q_f32(terms + 4 * i));
        }
        vst1q_f32(distances + 4 * i, sum);
        uint32x4_t is_near = vmvnq_u32(vcgtq_f32(sum, vdupq_n_f32(limit)));
        near |= vaddvq_u32(vandq_u32(is_near, lane_bits)) << 4 * i;
    }
    return near;
}

#define eight_bit_block plain_eight_bit_block
#define KERNELS cordwood_pq_neon
#define SUPPORTED supported
#include "loops.h"
#endif
