/// Blocks with AVX2.
///
/// Sums of 16 bits are made of results of 8 without widening them: one sum takes pairs of results
/// as they are, of which the high one is summed apart and taken from it in the end. What overflows
/// meanwhile is right again then, since all is modulo 65,536.
#pragma once

#include "pq.h"

#include <immintrin.h>

/// Eight distances from sums as whole numbers of 16 bits.
INLINE uint32_t eight_near(const cordwood_pq_query *query, __m128i sums, const float *terms,
                           float shift, float limit, float *distances) {
    __m256 floats = _mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(sums));
    __m256 sum =
        _mm256_add_ps(_mm256_mul_ps(floats, _mm256_set1_ps(query->scale)), _mm256_set1_ps(shift));
    if (terms) {
        sum = _mm256_add_ps(sum, _mm256_loadu_ps(terms));
    }
    _mm256_storeu_ps(distances, sum);
    return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(sum, _mm256_set1_ps(limit), _CMP_NGT_UQ));
}

/// The sums of sixteen rows: of `pairs` two results each, of which the high ones are `odd` too.
INLINE uint32_t sixteen_near(const cordwood_pq_query *query, __m256i pairs, __m256i odd,
                             const float *terms, float shift, float limit, float *distances) {
    __m256i even = _mm256_sub_epi16(pairs, _mm256_slli_epi16(odd, 8));
    // Two groups' sums are in the halves.
    __m128i evens = _mm_add_epi16(_mm256_castsi256_si128(even), _mm256_extracti128_si256(even, 1));
    __m128i odds = _mm_add_epi16(_mm256_castsi256_si128(odd), _mm256_extracti128_si256(odd, 1));
    uint32_t low =
        eight_near(query, _mm_unpacklo_epi16(evens, odds), terms, shift, limit, distances);
    uint32_t high = eight_near(query, _mm_unpackhi_epi16(evens, odds), terms ? terms + 8 : NULL,
                               shift, limit, distances + 8);
    return low | high << 8;
}

INLINE uint32_t four_bit_block(const cordwood_pq_query *query, const uint8_t *block,
                               const float *terms, float shift, float limit, float *distances) {
    const size_t bytes = 16 * pq_padded_groups(query->pq);
    const __m256i low = _mm256_set1_epi8(15);
    __m256i pairs[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    __m256i odd[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    for (size_t i = 0; i < bytes; i += 32) {
        __m256i codes = _mm256_loadu_si256((const __m256i *)(block + i));
        __m256i table = _mm256_loadu_si256((const __m256i *)(query->bytes + i));
        __m256i first = _mm256_shuffle_epi8(table, _mm256_and_si256(codes, low));
        __m256i second =
            _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(codes, 4), low));
        pairs[0] = _mm256_add_epi16(pairs[0], first);
        odd[0] = _mm256_add_epi16(odd[0], _mm256_srli_epi16(first, 8));
        pairs[1] = _mm256_add_epi16(pairs[1], second);
        odd[1] = _mm256_add_epi16(odd[1], _mm256_srli_epi16(second, 8));
    }
    uint32_t near = sixteen_near(query, pairs[0], odd[0], terms, shift, limit, distances);
    return near | sixteen_near(query, pairs[1], odd[1], terms ? terms + 16 : NULL, shift, limit,
                               distances + 16)
                      << 16;
}

INLINE uint32_t eight_bit_block(const cordwood_pq_query *query, const uint8_t *block,
                                const float *terms, float shift, float limit, float *distances) {
    __m256 sums[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),
                      _mm256_setzero_ps()};
    for (size_t group = 0; group < query->pq->groups; group++, block += CORDWOOD_PQ_BLOCK) {
        const float *table = query->floats + 256 * group;
        for (int i = 0; i < 4; i++) {
            __m256i codes = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(block + 8 * i)));
            sums[i] = _mm256_add_ps(sums[i], _mm256_i32gather_ps(table, codes, 4));
        }
    }
    uint32_t near = 0;
    for (int i = 0; i < 4; i++) {
        __m256 sum = _mm256_add_ps(sums[i], _mm256_set1_ps(shift));
        if (terms) {
            sum = _mm256_add_ps(sum, _mm256_loadu_ps(terms + 8 * i));
        }
        _mm256_storeu_ps(distances + 8 * i, sum);
        near |= (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(sum, _mm256_set1_ps(limit), _CMP_NGT_UQ))
                << 8 * i;
    }
    return near;
}
