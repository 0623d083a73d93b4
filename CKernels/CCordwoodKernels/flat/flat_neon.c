// Codes of flat indexes with NEON, which every 64-bit ARM processor has.

#include <stdbool.h>

#if defined(__aarch64__)
#include <arm_neon.h>

#include "flat.h"

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

static bool supported(void) { return true; }

/// Two products make at most 2 × 128 × 127, which 16 bits hold.
INLINE int32x4_t add_four(int32x4_t sums, int8x16_t codes, int8x16_t numbers) {
    int16x8_t low = vmull_s8(vget_low_s8(codes), vget_low_s8(numbers));
    int16x8_t high = vmull_high_s8(codes, numbers);
    return vpadalq_s16(sums, vpaddq_s16(low, high));
}

#include "groups_neon.h"

#define KERNELS cordwood_flat_neon
#define SUPPORTED supported
#include "loops.h"
#endif
