// Product quantization with AVX-512: a shuffle looks up 64 codes, of four groups.

#include <stdbool.h>

#if defined(__x86_64__)
#include <immintrin.h>

#include "pq.h"

#pragma STDC FP_CONTRACT OFF

static bool supported(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2"))),   \
                             apply_to = function)

/// Sixteen distances from sums as whole numbers of 16 bits.
INLINE uint32_t sixteen_near(const cordwood_pq_query *query, __m256i sums, const float *terms,
                             float shift, float limit, float *distances) {
    __m512 floats = _mm512_cvtepi32_ps(_mm512_cvtepu16_epi32(sums));
    __m512 sum =
        _mm512_add_ps(_mm512_mul_ps(floats, _mm512_set1_ps(query->scale)), _mm512_set1_ps(shift));
    if (terms) {
        sum = _mm512_add_ps(sum, _mm512_loadu_ps(terms));
    }
    _mm512_storeu_ps(distances, sum);
    return _mm512_cmp_ps_mask(sum, _mm512_set1_ps(limit), _CMP_NGT_UQ);
}

/// Four groups' sums in the quarters, made one.
INLINE __m128i sum_of_quarters(__m512i sums) {
    __m256i halves =
        _mm256_add_epi16(_mm512_castsi512_si256(sums), _mm512_extracti64x4_epi64(sums, 1));
    return _mm_add_epi16(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
}

/// The sums of sixteen rows in their order; see `blocks_avx2.h`.
INLINE __m256i sums_of(__m512i pairs, __m512i odd) {
    __m128i odds = sum_of_quarters(odd);
    __m128i evens = _mm_sub_epi16(sum_of_quarters(pairs), _mm_slli_epi16(odds, 8));
    return _mm256_set_m128i(_mm_unpackhi_epi16(evens, odds), _mm_unpacklo_epi16(evens, odds));
}

INLINE uint32_t four_bit_block(const cordwood_pq_query *query, const uint8_t *block,
                               const float *terms, float shift, float limit, float *distances) {
    const size_t bytes = 16 * pq_padded_groups(query->pq);
    const __m512i low = _mm512_set1_epi8(15);
    __m512i pairs[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
    __m512i odd[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
    for (size_t i = 0; i < bytes; i += 64) {
        __m512i codes = _mm512_loadu_si512(block + i);
        __m512i table = _mm512_loadu_si512(query->bytes + i);
        __m512i first = _mm512_shuffle_epi8(table, _mm512_and_si512(codes, low));
        __m512i second =
            _mm512_shuffle_epi8(table, _mm512_and_si512(_mm512_srli_epi16(codes, 4), low));
        pairs[0] = _mm512_add_epi16(pairs[0], first);
        odd[0] = _mm512_add_epi16(odd[0], _mm512_srli_epi16(first, 8));
        pairs[1] = _mm512_add_epi16(pairs[1], second);
        odd[1] = _mm512_add_epi16(odd[1], _mm512_srli_epi16(second, 8));
    }
    uint32_t near = sixteen_near(query, sums_of(pairs[0], odd[0]), terms, shift, limit, distances);
    return near | sixteen_near(query, sums_of(pairs[1], odd[1]), terms ? terms + 16 : NULL, shift,
                               limit, distances + 16)
                      << 16;
}

INLINE uint32_t eight_bit_block(const cordwood_pq_query *query, const uint8_t *block,
                                const float *terms, float shift, float limit, float *distances) {
    __m512 sums[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
    for (size_t group = 0; group < query->pq->groups; group++, block += CORDWOOD_PQ_BLOCK) {
        const float *table = query->floats + 256 * group;
        for (int i = 0; i < 2; i++) {
            __m512i codes =
                _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(block + 16 * i)));
            sums[i] = _mm512_add_ps(sums[i], _mm512_i32gather_ps(codes, table, 4));
        }
    }
    uint32_t near = 0;
    for (int i = 0; i < 2; i++) {
        __m512 sum = _mm512_add_ps(sums[i], _mm512_set1_ps(shift));
        if (terms) {
            sum = _mm512_add_ps(sum, _mm512_loadu_ps(terms + 16 * i));
        }
        _mm512_storeu_ps(distances + 16 * i, sum);
        near |= (uint32_t)_mm512_cmp_ps_mask(sum, _mm512_set1_ps(limit), _CMP_NGT_UQ) << 16 * i;
    }
    return near;
}

#define KERNELS cordwood_pq_avx512
#define SUPPORTED supported
#include "loops.h"

#pragma clang attribute pop
#endif
