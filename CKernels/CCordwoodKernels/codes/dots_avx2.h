/// Sums of products of codes and whole numbers with AVX2. Both are widened to 16 bits, whose
/// products are summed in pairs: the instruction that takes bytes saturates. To be included where
/// the functions are compiled for AVX2.
#pragma once

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline __attribute__((always_inline)) __m256i widened_query(const int8_t *query) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)query));
}

static inline __attribute__((always_inline)) __m256i add_products(__m256i sum, __m128i codes,
                                                                  __m256i query) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_cvtepu8_epi16(codes), query));
}

/// The sums over four pairs of a query and a row. With `is_half`, a byte of a row has two codes.
static inline __attribute__((always_inline)) void four_dots(bool is_half,
                                                            const int8_t *const queries[4],
                                                            const uint8_t *const rows[4],
                                                            size_t bytes, int32_t dots[4]) {
    __m256i sums[4] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(),
                       _mm256_setzero_si256()};
    const __m128i low = _mm_set1_epi8(15);
    for (size_t i = 0; i < bytes; i += 16) {
        for (int k = 0; k < 4; k++) {
            __m128i codes = _mm_loadu_si128((const __m128i *)(rows[k] + i));
            if (is_half) {
                sums[k] =
                    add_products(sums[k], _mm_and_si128(codes, low), widened_query(queries[k] + i));
                sums[k] = add_products(sums[k], _mm_and_si128(_mm_srli_epi16(codes, 4), low),
                                       widened_query(queries[k] + bytes + i));
            } else {
                sums[k] = add_products(sums[k], codes, widened_query(queries[k] + i));
            }
        }
    }
    __m256i four =
        _mm256_hadd_epi32(_mm256_hadd_epi32(sums[0], sums[1]), _mm256_hadd_epi32(sums[2], sums[3]));
    _mm_storeu_si128((__m128i *)dots, _mm_add_epi32(_mm256_castsi256_si128(four),
                                                    _mm256_extracti128_si256(four, 1)));
}
