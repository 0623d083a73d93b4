/// Sums of products of codes and whole numbers with AVX-512 VNNI, which multiplies and sums 64
/// pairs of bytes in one instruction. To be included where the functions are compiled for it.
#pragma once

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Adds the products of the bytes from `i` on that `mask` names.
static inline __attribute__((always_inline)) void
add_four_products(bool is_half, const int8_t *const queries[4], const uint8_t *const rows[4],
                  size_t bytes, size_t i, __mmask64 mask, __m512i sums[4]) {
    const __m512i low = _mm512_set1_epi8(15);
    for (int k = 0; k < 4; k++) {
        __m512i codes = _mm512_maskz_loadu_epi8(mask, rows[k] + i);
        __m512i query = _mm512_maskz_loadu_epi8(mask, queries[k] + i);
        if (is_half) {
            __m512i second = _mm512_maskz_loadu_epi8(mask, queries[k] + bytes + i);
            sums[k] = _mm512_dpbusd_epi32(sums[k], _mm512_and_si512(codes, low), query);
            sums[k] = _mm512_dpbusd_epi32(
                sums[k], _mm512_and_si512(_mm512_srli_epi16(codes, 4), low), second);
        } else {
            sums[k] = _mm512_dpbusd_epi32(sums[k], codes, query);
        }
    }
}

/// The sums of the lanes of four registers.
static inline __attribute__((always_inline)) void store_four_sums(const __m512i sums[4],
                                                                  int32_t dots[4]) {
    __m256i halves[4];
    for (int k = 0; k < 4; k++) {
        halves[k] = _mm256_add_epi32(_mm512_castsi512_si256(sums[k]),
                                     _mm512_extracti64x4_epi64(sums[k], 1));
    }
    __m256i four = _mm256_hadd_epi32(_mm256_hadd_epi32(halves[0], halves[1]),
                                     _mm256_hadd_epi32(halves[2], halves[3]));
    _mm_storeu_si128((__m128i *)dots, _mm_add_epi32(_mm256_castsi256_si128(four),
                                                    _mm256_extracti128_si256(four, 1)));
}

/// The sums over four pairs of a query and a row. With `is_half`, a byte of a row has two codes.
static inline __attribute__((always_inline)) void four_dots(bool is_half,
                                                            const int8_t *const queries[4],
                                                            const uint8_t *const rows[4],
                                                            size_t bytes, int32_t dots[4]) {
    __m512i sums[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(),
                       _mm512_setzero_si512()};
    size_t i = 0;
    for (; i + 64 <= bytes; i += 64) {
        add_four_products(is_half, queries, rows, bytes, i, ~(__mmask64)0, sums);
    }
    if (i < bytes) {
        __mmask64 rest = ((__mmask64)1 << (bytes - i)) - 1;
        add_four_products(is_half, queries, rows, bytes, i, rest, sums);
    }
    store_four_sums(sums, dots);
}

/// Adds the products of four queries and four rows, of the bytes from `i` on that `mask` names.
static inline __attribute__((always_inline)) void
add_sixteen_products(bool is_half, const int8_t *const queries[4], const uint8_t *const rows[4],
                     size_t bytes, size_t i, __mmask64 mask, __m512i sums[4][4]) {
    const __m512i low = _mm512_set1_epi8(15);
    __m512i codes[4], upper[4];
    for (int row = 0; row < 4; row++) {
        codes[row] = _mm512_maskz_loadu_epi8(mask, rows[row] + i);
        if (is_half) {
            upper[row] = _mm512_and_si512(_mm512_srli_epi16(codes[row], 4), low);
            codes[row] = _mm512_and_si512(codes[row], low);
        }
    }
    for (int query = 0; query < 4; query++) {
        __m512i numbers = _mm512_maskz_loadu_epi8(mask, queries[query] + i);
        for (int row = 0; row < 4; row++) {
            sums[query][row] = _mm512_dpbusd_epi32(sums[query][row], codes[row], numbers);
        }
        if (is_half) {
            numbers = _mm512_maskz_loadu_epi8(mask, queries[query] + bytes + i);
            for (int row = 0; row < 4; row++) {
                sums[query][row] = _mm512_dpbusd_epi32(sums[query][row], upper[row], numbers);
            }
        }
    }
}

/// The sums over each pair of four queries and four rows, all in registers: half the loads that a
/// pair takes alone.
static inline __attribute__((always_inline)) void sixteen_dots(bool is_half,
                                                               const int8_t *const queries[4],
                                                               const uint8_t *const rows[4],
                                                               size_t bytes, int32_t dots[4][4]) {
    __m512i sums[4][4];
    for (int query = 0; query < 4; query++) {
        for (int row = 0; row < 4; row++) {
            sums[query][row] = _mm512_setzero_si512();
        }
    }
    size_t i = 0;
    for (; i + 64 <= bytes; i += 64) {
        add_sixteen_products(is_half, queries, rows, bytes, i, ~(__mmask64)0, sums);
    }
    if (i < bytes) {
        __mmask64 rest = ((__mmask64)1 << (bytes - i)) - 1;
        add_sixteen_products(is_half, queries, rows, bytes, i, rest, sums);
    }
    for (int query = 0; query < 4; query++) {
        store_four_sums(sums[query], dots[query]);
    }
}

#define HAS_SIXTEEN_DOTS
