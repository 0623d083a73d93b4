// Distances of 32-bit floats with AVX-512. A scan of rows in memory is bound by bandwidth: each row
// is read once, for one (inner product) or two (L2) instructions to 64 bytes. Rows are read one
// after the other, because the processor fetches ahead along one stream: four rows side by side
// were measured at half the speed, and prefetch instructions did not help. Four sums a row cover
// the latency of the fused multiply-add.

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

typedef __m128 four_floats;

static inline __attribute__((always_inline)) __m512 add_term(bool l2, __m512 sum, __m512 query,
                                                             __m512 row) {
    if (l2) {
        __m512 difference = _mm512_sub_ps(query, row);
        return _mm512_fmadd_ps(difference, difference, sum);
    }
    return _mm512_fmadd_ps(query, row, sum);
}

static inline __attribute__((always_inline)) __m256 halve(__m512 sum) {
    return _mm256_add_ps(_mm512_castps512_ps256(sum), _mm512_extractf32x8_ps(sum, 1));
}

/// The sum over one row, as eight partial sums.
static inline __attribute__((always_inline)) __m256 row_sum(bool l2, const float *query,
                                                            const float *row, size_t dimensions) {
    __m512 sums[4];
    for (int part = 0; part < 4; part++) {
        sums[part] = _mm512_setzero_ps();
    }
    size_t i = 0;
    for (; i + 64 <= dimensions; i += 64) {
        for (int part = 0; part < 4; part++) {
            sums[part] = add_term(l2, sums[part], _mm512_loadu_ps(query + i + 16 * part),
                                  _mm512_loadu_ps(row + i + 16 * part));
        }
    }
    for (; i + 16 <= dimensions; i += 16) {
        sums[0] = add_term(l2, sums[0], _mm512_loadu_ps(query + i), _mm512_loadu_ps(row + i));
    }
    if (i < dimensions) {
        __mmask16 rest = (__mmask16)((1u << (dimensions - i)) - 1);
        sums[1] = add_term(l2, sums[1], _mm512_maskz_loadu_ps(rest, query + i),
                           _mm512_maskz_loadu_ps(rest, row + i));
    }
    return halve(_mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), _mm512_add_ps(sums[2], sums[3])));
}

static inline __attribute__((always_inline)) four_floats
four_sums(bool l2, const float *query, const float *const rows[4], size_t dimensions) {
    __m256 halves[4];
    for (int row = 0; row < 4; row++) {
        halves[row] = row_sum(l2, query, rows[row], dimensions);
    }
    __m256 sums =
        _mm256_hadd_ps(_mm256_hadd_ps(halves[0], halves[1]), _mm256_hadd_ps(halves[2], halves[3]));
    return _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps(sums, 1));
}

static inline __attribute__((always_inline)) four_floats four_minus(float base, four_floats sums) {
    return _mm_sub_ps(_mm_set1_ps(base), sums);
}

static inline __attribute__((always_inline)) unsigned four_within(four_floats distances,
                                                                  float limit) {
    return _mm_cmp_ps_mask(distances, _mm_set1_ps(limit), _CMP_NGT_UQ);
}

static inline __attribute__((always_inline)) void four_store(four_floats distances, float out[4]) {
    _mm_storeu_ps(out, distances);
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
