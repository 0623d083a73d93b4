// Codes of flat indexes with AVX-512 and its VNNI: one instruction takes sixteen rows four
// components further. Processors that have the one without the other use AVX2 here.

#include <stdbool.h>

#if defined(__x86_64__)
#include <immintrin.h>

#include "flat.h"

#pragma STDC FP_CONTRACT OFF

static bool supported(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni");
}

#pragma clang attribute push(                                                                      \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2"))),                 \
    apply_to = function)

#include <string.h>

typedef __m512i group_sums;

/// Of 4 bits the low halves and the high ones.
typedef struct {
    __m512i low, high;
} step_codes, step_numbers;

INLINE group_sums first_sums(bool is_half, const cordwood_code_query *query) {
    (void)is_half;
    return _mm512_set1_epi32(-query->shift);
}

INLINE step_codes load_codes(bool is_half, const uint8_t *step) {
    const __m512i low = _mm512_set1_epi8(15);
    __m512i codes = _mm512_loadu_si512(step);
    if (is_half) {
        return (step_codes){_mm512_and_si512(codes, low),
                            _mm512_and_si512(_mm512_srli_epi16(codes, 4), low)};
    }
    return (step_codes){codes, codes};
}

INLINE step_numbers load_numbers(bool is_half, const int8_t *components) {
    int32_t four[2];
    memcpy(four, components, is_half ? 8 : 4);
    __m512i low = _mm512_set1_epi32(four[0]);
    return (step_numbers){low, is_half ? _mm512_set1_epi32(four[1]) : low};
}

INLINE group_sums add_products(bool is_half, group_sums sums, step_codes codes,
                               step_numbers numbers) {
    sums = _mm512_dpbusd_epi32(sums, codes.low, numbers.low);
    return is_half ? _mm512_dpbusd_epi32(sums, codes.high, numbers.high) : sums;
}

INLINE uint32_t near_rows(bool l2, const cordwood_flat_probe *probe, group_sums sums,
                          const float *terms, const uint8_t *errors, float *distances) {
    __m512 base = _mm512_set1_ps(probe->query->base);
    base = l2 ? _mm512_add_ps(base, _mm512_loadu_ps(terms)) : base;
    __m512 product = _mm512_mul_ps(_mm512_cvtepi32_ps(sums), _mm512_set1_ps(probe->query->scale));
    __m512 distance = _mm512_sub_ps(base, product);
    __m512 error =
        _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)errors)));
    __m512 more = _mm512_set1_ps(probe->linear);
    more = l2 ? _mm512_add_ps(more, _mm512_mul_ps(error, _mm512_set1_ps(probe->square))) : more;
    __m512 limit = _mm512_add_ps(_mm512_set1_ps(probe->limit), _mm512_mul_ps(error, more));
    _mm512_storeu_ps(distances, distance);
    return _mm512_cmp_ps_mask(distance, limit, _CMP_NGT_UQ);
}

#define KERNELS cordwood_flat_avx512
#define SUPPORTED supported
#include "loops.h"

#pragma clang attribute pop
#endif
