// Distances of 32-bit floats with AVX-512. A scan of rows in memory is bound by bandwidth: each row
// is read once, for one (inner product) or two (L2) instructions to 64 bytes, and the sums of
// sixteen rows are reduced together, which takes three instructions a row. Rows are read one after
// the other, because the processor fetches ahead along one stream: four rows side by side were
// measured at half the speed. Four sums a row cover the latency of the fused multiply-add.

#include "f32.h"

#if defined(__x86_64__)
#include <immintrin.h>

static bool supported(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("fma");
}

#pragma clang attribute push(                                                                      \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), apply_to = function)

#include "sixteen_avx512.h"
#include "sums_avx512.h"

static inline __attribute__((always_inline)) four_floats four_minus(float base, four_floats sums) {
    return _mm_sub_ps(_mm_set1_ps(base), sums);
}

static inline __attribute__((always_inline)) unsigned four_within(four_floats distances,
                                                                  float limit) {
    return _mm_cmp_ps_mask(distances, _mm_set1_ps(limit), _CMP_NGT_UQ);
}

static inline __attribute__((always_inline)) unsigned
sixteen_within(const float *products, const float *terms, float factor, float limit) {
    __m512 bounds =
        _mm512_fmadd_ps(_mm512_set1_ps(factor), _mm512_loadu_ps(products), _mm512_loadu_ps(terms));
    return _mm512_cmp_ps_mask(bounds, _mm512_set1_ps(limit), _CMP_NGT_UQ);
}

#define KERNELS cordwood_f32_avx512
#define ISA_NAME "avx512"
#define SUPPORTED supported
#define BATCH cordwood_f32_batch_avx512
#define BATCH_SCRATCH cordwood_f32_batch_scratch_avx512
#include "loops.h"

void cordwood_f32_offer_avx512(const cordwood_f32_query *query, const cordwood_f32_rows *rows,
                               size_t first, unsigned mask, cordwood_topk *topk) {
    offer_exactly(query, rows, first, mask, topk);
}

#pragma clang attribute pop
#endif
