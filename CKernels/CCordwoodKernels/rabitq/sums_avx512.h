/// Sums over the signs and codes of rows with AVX-512 and its VNNI. To be included where the
/// functions are compiled for it.
#pragma once

#include "layout.h"

#include <immintrin.h>

/// Sums of 16 bits hold so many bytes of signs, each at most 254. (Two at a time have a sum each.)
enum { BYTES_AT_ONCE = 512 };

/// As with AVX2, two bytes of signs at a time. Their tables come in one load, and each half's are
/// put where its rows are.
INLINE void block_sums(const uint8_t *tables, const uint8_t *signs, size_t bytes,
                       int32_t sums[BLOCK]) {
    const __m512i low = _mm512_set1_epi8(15);
    for (size_t start = 0; start < bytes; start += BYTES_AT_ONCE) {
        const size_t end = start + BYTES_AT_ONCE < bytes ? start + BYTES_AT_ONCE : bytes;
        __m512i both = _mm512_setzero_si512(), odd = _mm512_setzero_si512();
        for (size_t i = start; i < end; i += 2) {
            __m512i pair = _mm512_loadu_si512(signs + i * BLOCK);
            __m512i table = _mm512_loadu_si512(tables + i * 32);
            __m512i first = _mm512_shuffle_i32x4(table, table, 0xa0);
            __m512i second = _mm512_shuffle_i32x4(table, table, 0xf5);
            __m512i sum = _mm512_add_epi8(
                _mm512_shuffle_epi8(first, _mm512_and_si512(pair, low)),
                _mm512_shuffle_epi8(second, _mm512_and_si512(_mm512_srli_epi16(pair, 4), low)));
            both = _mm512_add_epi16(both, sum);
            odd = _mm512_add_epi16(odd, _mm512_srli_epi16(sum, 8));
        }
        __m512i even = _mm512_sub_epi16(both, _mm512_slli_epi16(odd, 8));
        const __m256i evens[2] = {_mm512_castsi512_si256(even), _mm512_extracti64x4_epi64(even, 1)};
        const __m256i odds[2] = {_mm512_castsi512_si256(odd), _mm512_extracti64x4_epi64(odd, 1)};
        __m512i rows[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
        for (int half = 0; half < 2; half++) {
            // Rows 0 to 7 and 16 to 23, and the others; then in order.
            __m256i front = _mm256_unpacklo_epi16(evens[half], odds[half]);
            __m256i back = _mm256_unpackhi_epi16(evens[half], odds[half]);
            rows[0] = _mm512_add_epi32(
                rows[0], _mm512_cvtepu16_epi32(_mm256_permute2x128_si256(front, back, 0x20)));
            rows[1] = _mm512_add_epi32(
                rows[1], _mm512_cvtepu16_epi32(_mm256_permute2x128_si256(front, back, 0x31)));
        }
        for (int part = 0; part < 2; part++) {
            if (start > 0) {
                rows[part] = _mm512_add_epi32(rows[part], _mm512_loadu_si512(sums + 16 * part));
            }
            _mm512_storeu_si512(sums + 16 * part, rows[part]);
        }
    }
}

INLINE uint32_t not_beyond(const float bounds[BLOCK], float threshold) {
    const __m512 limit = _mm512_set1_ps(threshold);
    return (uint32_t)_mm512_cmp_ps_mask(_mm512_loadu_ps(bounds), limit, _CMP_NGT_UQ) |
           (uint32_t)_mm512_cmp_ps_mask(_mm512_loadu_ps(bounds + 16), limit, _CMP_NGT_UQ) << 16;
}

typedef struct {
    __m512i high, low;
} half_sums;

INLINE half_sums no_sums(void) {
    return (half_sums){_mm512_setzero_si512(), _mm512_setzero_si512()};
}

/// Two sums of each half, since a sum waits four or five clocks for the one before it.
INLINE void add_fields(const uint8_t *fields, uint32_t width, size_t count, const int8_t *high,
                       const int8_t *low, half_sums *sums) {
    const __m512i mask = _mm512_set1_epi8((char)((1 << width) - 1));
    __m512i highs[2] = {_mm512_slli_epi32(sums->high, width), _mm512_setzero_si512()};
    __m512i lows[2] = {_mm512_slli_epi32(sums->low, width), _mm512_setzero_si512()};
    for (size_t i = 0; i < count; i += 64) {
        // What is behind the last is zeros here, so that it does not matter what the query has
        // there.
        const __mmask64 present =
            count - i < 64 ? ((__mmask64)1 << (count - i)) - 1 : ~(__mmask64)0;
        __m512i bytes = _mm512_maskz_loadu_epi8(present, fields + i);
        for (uint32_t k = 0; k < 8 / width; k++) {
            __m512i found = _mm512_and_si512(_mm512_srli_epi16(bytes, k * width), mask);
            const size_t at = k * count + i;
            highs[k % 2] = _mm512_dpbusd_epi32(highs[k % 2], found, _mm512_loadu_si512(high + at));
            lows[k % 2] = _mm512_dpbusd_epi32(lows[k % 2], found, _mm512_loadu_si512(low + at));
        }
    }
    sums->high = _mm512_add_epi32(highs[0], highs[1]);
    sums->low = _mm512_add_epi32(lows[0], lows[1]);
}

INLINE void totals(const half_sums *sums, int32_t dots[2]) {
    dots[0] = _mm512_reduce_add_epi32(sums->high);
    dots[1] = _mm512_reduce_add_epi32(sums->low);
}
