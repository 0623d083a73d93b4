// Codes of flat indexes with NEON and its dot products of bytes: one instruction takes four rows
// four components further.

#include <stdbool.h>

#if defined(__aarch64__)
#include <arm_neon.h>

#include "../codes/dotprod.h"
#include "flat.h"

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

DOTPROD_BEGIN

INLINE int32x4_t add_four(int32x4_t sums, int8x16_t codes, int8x16_t numbers) {
    return vdotq_s32(sums, codes, numbers);
}

#include "groups_neon.h"

#define KERNELS cordwood_flat_neon_dotprod
#define SUPPORTED has_dotprod
#include "loops.h"

DOTPROD_END
#endif
