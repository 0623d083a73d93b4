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

typedef __m128 four_floats;

static inline __attribute__((always_inline)) __m256 add_term(bool l2, __m256 sum, __m256 query,
                                                             __m256 row) {
    if (l2) {
        __m256 difference = _mm256_sub_ps(query, row);
        return _mm256_fmadd_ps(difference, difference, sum);
    }
    return _mm256_fmadd_ps(query, row, sum);
}

/// The sum over one row, as eight partial sums.
static inline __attribute__((always_inline)) __m256 row_sum(bool l2, const float *query,
                                                            const float *row, size_t dimensions) {
    __m256 sums[4];
    for (int part = 0; part < 4; part++) {
        sums[part] = _mm256_setzero_ps();
    }
    size_t i = 0;
    for (; i + 32 <= dimensions; i += 32) {
        for (int part = 0; part < 4; part++) {
            sums[part] = add_term(l2, sums[part], _mm256_loadu_ps(query + i + 8 * part),
                                  _mm256_loadu_ps(row + i + 8 * part));
        }
    }
    for (; i + 8 <= dimensions; i += 8) {
        sums[0] = add_term(l2, sums[0], _mm256_loadu_ps(query + i), _mm256_loadu_ps(row + i));
    }
    if (i < dimensions) {
        __m256i rest = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)(dimensions - i)),
                                          _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
        sums[1] = add_term(l2, sums[1], _mm256_maskload_ps(query + i, rest),
                           _mm256_maskload_ps(row + i, rest));
    }
    return _mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3]));
}

static inline __attribute__((always_inline)) four_floats
four_sums(bool l2, const float *query, const float *const rows[4], size_t dimensions) {
    __m256 partial[4];
    for (int row = 0; row < 4; row++) {
        partial[row] = row_sum(l2, query, rows[row], dimensions);
    }
    __m256 sums = _mm256_hadd_ps(_mm256_hadd_ps(partial[0], partial[1]),
                                 _mm256_hadd_ps(partial[2], partial[3]));
    return _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps(sums, 1));
}

static inline __attribute__((always_inline)) four_floats four_minus(float base, four_floats sums) {
    return _mm_sub_ps(_mm_set1_ps(base), sums);
}

static inline __attribute__((always_inline)) unsigned four_within(four_floats distances,
                                                                  float limit) {
    return (unsigned)_mm_movemask_ps(_mm_cmp_ps(distances, _mm_set1_ps(limit), _CMP_NGT_UQ));
}

static inline __attribute__((always_inline)) void four_store(four_floats distances, float out[4]) {
    _mm_storeu_ps(out, distances);
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
