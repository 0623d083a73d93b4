// Codes of flat indexes with AVX2.

#include <stdbool.h>

#if defined(__x86_64__)
#include <immintrin.h>

#include "flat.h"

#pragma STDC FP_CONTRACT OFF

static bool supported(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2");
}

#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)

#include <string.h>

/// Eight rows each.
typedef struct {
    __m256i first, second;
} group_sums;

/// Of 8 bits the codes of even and of odd components, widened to 16 bits: the instruction that
/// multiplies bytes saturates. Of 4 bits, where it does not, the low halves and the high ones.
typedef struct {
    __m256i even[2], odd[2];
} step_codes;

typedef struct {
    __m256i even, odd;
} step_numbers;

INLINE group_sums first_sums(bool is_half, const cordwood_code_query *query) {
    (void)is_half;
    __m256i first = _mm256_set1_epi32(-query->shift);
    return (group_sums){first, first};
}

INLINE step_codes load_codes(bool is_half, const uint8_t *step) {
    const __m256i low = is_half ? _mm256_set1_epi8(15) : _mm256_set1_epi16(255);
    step_codes codes;
    for (int i = 0; i < 2; i++) {
        __m256i half = _mm256_loadu_si256((const __m256i *)step + i);
        codes.even[i] = _mm256_and_si256(half, low);
        codes.odd[i] = is_half ? _mm256_and_si256(_mm256_srli_epi16(half, 4), low)
                               : _mm256_srli_epi16(half, 8);
    }
    return codes;
}

INLINE step_numbers load_numbers(bool is_half, const int8_t *components) {
    int32_t four[2];
    memcpy(four, components, is_half ? 8 : 4);
    __m256i low = _mm256_set1_epi32(four[0]);
    if (is_half) {
        return (step_numbers){low, _mm256_set1_epi32(four[1])};
    }
    return (step_numbers){_mm256_srai_epi16(_mm256_slli_epi16(low, 8), 8),
                          _mm256_srai_epi16(low, 8)};
}

INLINE __m256i products_of(bool is_half, __m256i even, __m256i odd, step_numbers numbers) {
    if (is_half) {
        __m256i pairs = _mm256_add_epi16(_mm256_maddubs_epi16(even, numbers.even),
                                         _mm256_maddubs_epi16(odd, numbers.odd));
        return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
    }
    return _mm256_add_epi32(_mm256_madd_epi16(even, numbers.even),
                            _mm256_madd_epi16(odd, numbers.odd));
}

INLINE group_sums add_products(bool is_half, group_sums sums, step_codes codes,
                               step_numbers numbers) {
    return (group_sums){
        _mm256_add_epi32(sums.first, products_of(is_half, codes.even[0], codes.odd[0], numbers)),
        _mm256_add_epi32(sums.second, products_of(is_half, codes.even[1], codes.odd[1], numbers))};
}

INLINE uint32_t eight_near(bool l2, const cordwood_flat_probe *probe, __m256i sums,
                           const float *terms, const uint8_t *errors, float *distances) {
    __m256 base = _mm256_set1_ps(probe->query->base);
    base = l2 ? _mm256_add_ps(base, _mm256_loadu_ps(terms)) : base;
    __m256 product = _mm256_mul_ps(_mm256_cvtepi32_ps(sums), _mm256_set1_ps(probe->query->scale));
    __m256 distance = _mm256_sub_ps(base, product);
    __m256 error =
        _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)errors)));
    __m256 more = _mm256_set1_ps(probe->linear);
    more = l2 ? _mm256_add_ps(more, _mm256_mul_ps(error, _mm256_set1_ps(probe->square))) : more;
    __m256 limit = _mm256_add_ps(_mm256_set1_ps(probe->limit), _mm256_mul_ps(error, more));
    _mm256_storeu_ps(distances, distance);
    return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(distance, limit, _CMP_NGT_UQ));
}

INLINE uint32_t near_rows(bool l2, const cordwood_flat_probe *probe, group_sums sums,
                          const float *terms, const uint8_t *errors, float *distances) {
    return eight_near(l2, probe, sums.first, terms, errors, distances) |
           eight_near(l2, probe, sums.second, l2 ? terms + 8 : NULL, errors + 8, distances + 8)
               << 8;
}

#define KERNELS cordwood_flat_avx2
#define SUPPORTED supported
#include "loops.h"

#pragma clang attribute pop
#endif
