// Distances of 32-bit floats in plain C. Eight partial sums for each row break the chain of
// dependent additions, and let a compiler that can use the baseline's registers.

#include "f32.h"
#include "sums_scalar.h"

static inline four_floats four_minus(float base, four_floats sums) {
    for (int lane = 0; lane < 4; lane++) {
        sums.lanes[lane] = base - sums.lanes[lane];
    }
    return sums;
}

static inline unsigned four_within(four_floats distances, float limit) {
    unsigned mask = 0;
    for (int lane = 0; lane < 4; lane++) {
        mask |= (unsigned)!(distances.lanes[lane] > limit) << lane;
    }
    return mask;
}

static inline unsigned sixteen_within(const float *products, const float *terms, float factor,
                                      float limit) {
    unsigned mask = 0;
    for (int lane = 0; lane < 16; lane++) {
        mask |= (unsigned)!(terms[lane] + factor * products[lane] > limit) << lane;
    }
    return mask;
}

static bool supported(void) { return true; }

#define KERNELS cordwood_f32_scalar
#define ISA_NAME "scalar"
#define SUPPORTED supported
#define BATCH NULL
#define BATCH_SCRATCH NULL
#include "loops.h"
