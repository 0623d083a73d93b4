/// Sums over the signs and codes of rows with AVX2. To be included where the functions are compiled
/// for it.
#pragma once

#include "layout.h"

#include <immintrin.h>

/// Sums of 16 bits hold so many bytes of signs, each at most 254.
enum { BYTES_AT_ONCE = 256 };

/// A byte of signs is two looks into tables in registers, for 32 rows at a time: a load, three
/// instructions that take its halves apart, two shuffles and four additions, ten for 256 signs.
/// Bound by these, not by memory, which one core reads at about twice the speed.
INLINE void block_sums(const uint8_t *tables, const uint8_t *signs, size_t bytes,
                       int32_t sums[BLOCK]) {
    const __m256i low = _mm256_set1_epi8(15);
    for (size_t start = 0; start < bytes; start += BYTES_AT_ONCE) {
        const size_t end = start + BYTES_AT_ONCE < bytes ? start + BYTES_AT_ONCE : bytes;
        // `both` also has, times 256, what `odd` has: cheaper than to mask it away each time.
        __m256i both = _mm256_setzero_si256(), odd = _mm256_setzero_si256();
        for (size_t i = start; i < end; i++) {
            __m256i pair = _mm256_loadu_si256((const __m256i *)(signs + i * BLOCK));
            __m256i first =
                _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(tables + i * 32)));
            __m256i second = _mm256_broadcastsi128_si256(
                _mm_loadu_si128((const __m128i *)(tables + i * 32 + 16)));
            __m256i sum = _mm256_add_epi8(
                _mm256_shuffle_epi8(first, _mm256_and_si256(pair, low)),
                _mm256_shuffle_epi8(second, _mm256_and_si256(_mm256_srli_epi16(pair, 4), low)));
            both = _mm256_add_epi16(both, sum);
            odd = _mm256_add_epi16(odd, _mm256_srli_epi16(sum, 8));
        }
        __m256i even = _mm256_sub_epi16(both, _mm256_slli_epi16(odd, 8));
        // Rows 0 to 7 and 16 to 23, and the others.
        __m256i front = _mm256_unpacklo_epi16(even, odd), back = _mm256_unpackhi_epi16(even, odd);
        const __m128i eights[4] = {_mm256_castsi256_si128(front), _mm256_castsi256_si128(back),
                                   _mm256_extracti128_si256(front, 1),
                                   _mm256_extracti128_si256(back, 1)};
        for (int part = 0; part < 4; part++) {
            __m256i *place = (__m256i *)(sums + 8 * part);
            __m256i eight = _mm256_cvtepu16_epi32(eights[part]);
            if (start > 0) {
                eight = _mm256_add_epi32(eight, _mm256_loadu_si256(place));
            }
            _mm256_storeu_si256(place, eight);
        }
    }
}

INLINE uint32_t not_beyond(const float bounds[BLOCK], float threshold) {
    uint32_t mask = 0;
    for (int part = 0; part < 4; part++) {
        __m256 eight = _mm256_loadu_ps(bounds + 8 * part);
        mask |= (uint32_t)_mm256_movemask_ps(
                    _mm256_cmp_ps(eight, _mm256_set1_ps(threshold), _CMP_NGT_UQ))
                << 8 * part;
    }
    return mask;
}

typedef struct {
    __m256i high, low;
} half_sums;

INLINE half_sums no_sums(void) {
    return (half_sums){_mm256_setzero_si256(), _mm256_setzero_si256()};
}

/// The query's halves are at most 64, so that two of their products fit 16 bits.
INLINE __m256i add_products(__m256i sum, __m256i fields, const int8_t *half) {
    __m256i products =
        _mm256_maddubs_epi16(fields, _mm256_loadu_si256((const __m256i *)(const void *)half));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(products, _mm256_set1_epi16(1)));
}

INLINE void add_fields(const uint8_t *fields, uint32_t width, size_t count, const int8_t *high,
                       const int8_t *low, half_sums *sums) {
    const __m256i mask = _mm256_set1_epi8((char)((1 << width) - 1));
    __m256i highs = _mm256_slli_epi32(sums->high, (int)width);
    __m256i lows = _mm256_slli_epi32(sums->low, (int)width);
    for (size_t i = 0; i < count; i += 32) {
        // What is behind the last is zeros here, so that it does not matter what the query has
        // there.
        const int64_t left = (int64_t)(count - i) / 8;
        const __m256i present =
            _mm256_cmpgt_epi64(_mm256_set1_epi64x(left), _mm256_setr_epi64x(0, 1, 2, 3));
        __m256i bytes =
            _mm256_maskload_epi64((const long long *)(const void *)(fields + i), present);
        for (uint32_t k = 0; k < 8 / width; k++) {
            __m256i found = _mm256_and_si256(_mm256_srli_epi16(bytes, (int)(k * width)), mask);
            highs = add_products(highs, found, high + k * count + i);
            lows = add_products(lows, found, low + k * count + i);
        }
    }
    *sums = (half_sums){highs, lows};
}

INLINE int32_t sum_of_eight(__m256i eight) {
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
    __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
}

INLINE void totals(const half_sums *sums, int32_t dots[2]) {
    dots[0] = sum_of_eight(sums->high);
    dots[1] = sum_of_eight(sums->low);
}
