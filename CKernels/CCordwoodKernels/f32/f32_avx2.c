// Distances of 32-bit floats with AVX2 and FMA. A scan of rows in memory is bound by bandwidth.
// Rows are read one after the other, because the processor fetches ahead along one stream; four
// sums a row cover the latency of the fused multiply-add.

#include "f32.h"

#if defined(__x86_64__)
#include <immintrin.h>

static bool supported(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)

#include "sums_avx2.h"

static inline __attribute__((always_inline)) four_floats four_minus(float base, four_floats sums) {
    return _mm_sub_ps(_mm_set1_ps(base), sums);
}

static inline __attribute__((always_inline)) unsigned four_within(four_floats distances,
                                                                  float limit) {
    return (unsigned)_mm_movemask_ps(_mm_cmp_ps(distances, _mm_set1_ps(limit), _CMP_NGT_UQ));
}

static inline __attribute__((always_inline)) unsigned
eight_within(const float *products, const float *terms, float factor, float limit) {
    __m256 bounds =
        _mm256_fmadd_ps(_mm256_set1_ps(factor), _mm256_loadu_ps(products), _mm256_loadu_ps(terms));
    return (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(bounds, _mm256_set1_ps(limit), _CMP_NGT_UQ));
}

static inline __attribute__((always_inline)) unsigned
sixteen_within(const float *products, const float *terms, float factor, float limit) {
    return eight_within(products, terms, factor, limit) |
           eight_within(products + 8, terms + 8, factor, limit) << 8;
}

#define KERNELS cordwood_f32_avx2
#define ISA_NAME "avx2"
#define SUPPORTED supported
#define BATCH NULL
#define BATCH_SCRATCH NULL
#include "loops.h"

#pragma clang attribute pop
#endif
