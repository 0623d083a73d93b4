// Distances of 32-bit floats with NEON, which every 64-bit ARM processor has. A scan of rows in
// memory is bound by bandwidth; four sums a row cover the latency of the multiply-add.

#include "f32.h"

#include "../codes/dotprod.h"

#if defined(__aarch64__)
#include "sums_neon.h"

static bool supported(void) { return true; }

static inline __attribute__((always_inline)) four_floats four_minus(float base, four_floats sums) {
    return vsubq_f32(vdupq_n_f32(base), sums);
}

static inline __attribute__((always_inline)) unsigned four_within(four_floats distances,
                                                                  float limit) {
    const uint32x4_t lane_bits = {1, 2, 4, 8};
    return vaddvq_u32(vbicq_u32(lane_bits, vcgtq_f32(distances, vdupq_n_f32(limit))));
}

static inline __attribute__((always_inline)) unsigned
sixteen_within(const float *products, const float *terms, float factor, float limit) {
    unsigned mask = 0;
    for (unsigned lane = 0; lane < 16; lane += 4) {
        float32x4_t bounds =
            vfmaq_n_f32(vld1q_f32(terms + lane), vld1q_f32(products + lane), factor);
        mask |= four_within(bounds, limit) << lane;
    }
    return mask;
}

#define KERNELS cordwood_f32_neon
#define ISA_NAME "neon"
#define SUPPORTED supported
#define BATCH NULL
#define BATCH_SCRATCH NULL
#include "loops.h"

/// Dot products are of bytes; the loops of floats are the same.
const cordwood_f32_kernels cordwood_f32_neon_dotprod = {
    "neon-dotprod", has_dotprod, distances, scan, tile, BATCH, BATCH_SCRATCH};
#endif
