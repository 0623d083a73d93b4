// Halves, bytes and bits with AVX-512, its VNNI, which multiplies and sums 64 pairs of bytes in one
// instruction, and its population count. Processors that have the one without the others use AVX2
// here.
//
// Brain floats are widened, not multiplied by `dpbf16ps`: that takes both sides in 8 bits of
// precision, has no difference, and a scan waits for memory either way.

#include <stdbool.h>

#if defined(__x86_64__)
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

static bool supported(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vpopcntdq") &&
           __builtin_cpu_supports("fma");
}

#pragma clang attribute push(                                                                      \
    __attribute__((                                                                                \
        target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vpopcntdq,avx2,fma"))),        \
    apply_to = function)

#define INLINED static inline __attribute__((always_inline))

// MARK: Halves

INLINED __m512 add_half_terms(bool l2, bool is_bf16, __m512 sum, __m512 query, __m256i halves) {
    __m512 row = is_bf16 ? _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16))
                         : _mm512_cvtph_ps(halves);
    if (l2) {
        row = _mm512_sub_ps(query, row);
        query = row;
    }
    return _mm512_fmadd_ps(query, row, sum);
}

/// The sum over one row, as eight partial sums.
INLINED __m256 half_row_sum(bool l2, bool is_bf16, const float *query, const uint16_t *row,
                            size_t dimensions) {
    __m512 sums[4];
    for (int part = 0; part < 4; part++) {
        sums[part] = _mm512_setzero_ps();
    }
    size_t i = 0;
    for (; i + 64 <= dimensions; i += 64) {
        for (int part = 0; part < 4; part++) {
            sums[part] =
                add_half_terms(l2, is_bf16, sums[part], _mm512_loadu_ps(query + i + 16 * part),
                               _mm256_loadu_si256((const __m256i *)(row + i + 16 * part)));
        }
    }
    for (; i + 16 <= dimensions; i += 16) {
        sums[0] = add_half_terms(l2, is_bf16, sums[0], _mm512_loadu_ps(query + i),
                                 _mm256_loadu_si256((const __m256i *)(row + i)));
    }
    if (i < dimensions) {
        __mmask16 rest = (__mmask16)((1u << (dimensions - i)) - 1);
        sums[1] = add_half_terms(l2, is_bf16, sums[1], _mm512_maskz_loadu_ps(rest, query + i),
                                 _mm256_maskz_loadu_epi16(rest, row + i));
    }
    __m512 sum = _mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), _mm512_add_ps(sums[2], sums[3]));
    return _mm256_add_ps(_mm512_castps512_ps256(sum), _mm512_extractf32x8_ps(sum, 1));
}

INLINED void four_half_sums(bool l2, bool is_bf16, const float *query, const void *const rows[4],
                            size_t dimensions, float sums[4]) {
    __m256 partial[4];
    for (int k = 0; k < 4; k++) {
        partial[k] = half_row_sum(l2, is_bf16, query, rows[k], dimensions);
    }
    __m256 four = _mm256_hadd_ps(_mm256_hadd_ps(partial[0], partial[1]),
                                 _mm256_hadd_ps(partial[2], partial[3]));
    _mm_storeu_ps(sums, _mm_add_ps(_mm256_castps256_ps128(four), _mm256_extractf128_ps(four, 1)));
}

// MARK: Whole numbers

/// The sums of the 32-bit lanes of four registers.
INLINED void store_four(const __m512i partial[4], uint32_t sums[4]) {
    __m256i halves[4];
    for (int k = 0; k < 4; k++) {
        halves[k] = _mm256_add_epi32(_mm512_castsi512_si256(partial[k]),
                                     _mm512_extracti64x4_epi64(partial[k], 1));
    }
    __m256i four = _mm256_hadd_epi32(_mm256_hadd_epi32(halves[0], halves[1]),
                                     _mm256_hadd_epi32(halves[2], halves[3]));
    _mm_storeu_si128((__m128i *)sums, _mm_add_epi32(_mm256_castsi256_si128(four),
                                                    _mm256_extracti128_si256(four, 1)));
}

/// Adds squares of differences, or products less what `missing_term` says. Bytes that are masked
/// are zeros in both.
INLINED __m512i add_byte_terms(bool l2, bool is_signed, __m512i sum, __m512i query, __m512i row) {
    const __m512i half = _mm512_set1_epi8(-128);
    if (l2) {
        // Bytes of both signs keep their differences where 128 is added to them.
        if (is_signed) {
            query = _mm512_xor_si512(query, half);
            row = _mm512_xor_si512(row, half);
        }
        __m512i difference =
            _mm512_sub_epi8(_mm512_max_epu8(query, row), _mm512_min_epu8(query, row));
        __m512i low = _mm512_unpacklo_epi8(difference, _mm512_setzero_si512());
        __m512i high = _mm512_unpackhi_epi8(difference, _mm512_setzero_si512());
        return _mm512_dpwssd_epi32(_mm512_dpwssd_epi32(sum, low, low), high, high);
    }
    row = _mm512_xor_si512(row, half);
    return is_signed ? _mm512_dpbusd_epi32(sum, row, query) : _mm512_dpbusd_epi32(sum, query, row);
}

/// The instruction multiplies unsigned bytes by signed ones. A row of either becomes the other by
/// 128 more or less, whatever it is, so that the query's sum, times 128, puts the product right.
INLINED uint32_t missing_term(bool is_signed, const uint8_t *query, size_t dimensions) {
    const __m512i ones = _mm512_set1_epi8(1);
    __m512i sum = _mm512_setzero_si512();
    for (size_t i = 0; i < dimensions; i += 64) {
        __mmask64 mask = dimensions - i < 64 ? ((__mmask64)1 << (dimensions - i)) - 1 : ~0ull;
        __m512i bytes = _mm512_maskz_loadu_epi8(mask, query + i);
        sum = is_signed ? _mm512_dpbusd_epi32(sum, ones, bytes)
                        : _mm512_dpbusd_epi32(sum, bytes, ones);
    }
    uint32_t total = 128 * (uint32_t)_mm512_reduce_add_epi32(sum);
    return is_signed ? 0u - total : total;
}

INLINED void four_byte_sums(bool l2, bool is_signed, const uint8_t *query,
                            const void *const rows[4], size_t dimensions, uint32_t sums[4]) {
    __m512i partial[4];
    for (int k = 0; k < 4; k++) {
        const uint8_t *row = rows[k];
        partial[k] = _mm512_setzero_si512();
        size_t i = 0;
        for (; i + 64 <= dimensions; i += 64) {
            partial[k] = add_byte_terms(l2, is_signed, partial[k], _mm512_loadu_si512(query + i),
                                        _mm512_loadu_si512(row + i));
        }
        if (i < dimensions) {
            __mmask64 rest = ((__mmask64)1 << (dimensions - i)) - 1;
            partial[k] =
                add_byte_terms(l2, is_signed, partial[k], _mm512_maskz_loadu_epi8(rest, query + i),
                               _mm512_maskz_loadu_epi8(rest, row + i));
        }
    }
    store_four(partial, sums);
}

// MARK: Bits

INLINED __m512i add_bits(bool l2, __m512i sum, __m512i query, __m512i row) {
    __m512i both = l2 ? _mm512_xor_si512(query, row) : _mm512_and_si512(query, row);
    return _mm512_add_epi64(sum, _mm512_popcnt_epi64(both));
}

INLINED void four_bit_sums(bool l2, const uint64_t *query, const void *const rows[4], size_t words,
                           uint32_t sums[4]) {
    __m512i partial[4];
    for (int k = 0; k < 4; k++) {
        const uint8_t *row = rows[k], *own = (const uint8_t *)query;
        partial[k] = _mm512_setzero_si512();
        size_t i = 0;
        for (; i + 8 <= words; i += 8) {
            partial[k] = add_bits(l2, partial[k], _mm512_loadu_si512(own + 8 * i),
                                  _mm512_loadu_si512(row + 8 * i));
        }
        if (i < words) {
            __mmask8 rest = (__mmask8)((1u << (words - i)) - 1);
            partial[k] = add_bits(l2, partial[k], _mm512_maskz_loadu_epi64(rest, own + 8 * i),
                                  _mm512_maskz_loadu_epi64(rest, row + 8 * i));
        }
    }
    store_four(partial, sums);
}

#define KERNELS cordwood_element_avx512
#define SUPPORTED supported
#include "loops.h"

#pragma clang attribute pop
#endif
