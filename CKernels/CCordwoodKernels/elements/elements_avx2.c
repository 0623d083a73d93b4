// Halves, bytes and bits with AVX2, FMA and F16C. Halves are widened to floats; bytes to 16 bits,
// whose products are summed in pairs; bits are counted by looking up each half of a byte (Muła,
// Kurz and Lemire, arXiv 1611.07612).

#include <stdbool.h>

#if defined(__x86_64__)
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static bool supported(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("f16c");
}

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

#define INLINED static inline __attribute__((always_inline))

INLINED __m256i load(const void *bytes) { return _mm256_loadu_si256(bytes); }

// MARK: Halves

INLINED __m256 widened_half(bool is_bf16, __m128i halves) {
    return is_bf16 ? _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16))
                   : _mm256_cvtph_ps(halves);
}

INLINED __m256 add_half_terms(bool l2, bool is_bf16, __m256 sum, __m256 query, const void *halves) {
    __m256 row = widened_half(is_bf16, _mm_loadu_si128(halves));
    if (l2) {
        row = _mm256_sub_ps(query, row);
        query = row;
    }
    return _mm256_fmadd_ps(query, row, sum);
}

/// The sum over one row, as eight partial sums.
INLINED __m256 half_row_sum(bool l2, bool is_bf16, const float *query, const uint16_t *row,
                            size_t dimensions) {
    __m256 sums[4];
    for (int part = 0; part < 4; part++) {
        sums[part] = _mm256_setzero_ps();
    }
    size_t i = 0;
    for (; i + 32 <= dimensions; i += 32) {
        for (int part = 0; part < 4; part++) {
            sums[part] = add_half_terms(l2, is_bf16, sums[part],
                                        _mm256_loadu_ps(query + i + 8 * part), row + i + 8 * part);
        }
    }
    for (; i + 8 <= dimensions; i += 8) {
        sums[0] = add_half_terms(l2, is_bf16, sums[0], _mm256_loadu_ps(query + i), row + i);
    }
    if (i < dimensions) {
        uint16_t halves[8] = {0};
        float floats[8] = {0};
        memcpy(halves, row + i, (dimensions - i) * sizeof(uint16_t));
        memcpy(floats, query + i, (dimensions - i) * sizeof(float));
        sums[1] = add_half_terms(l2, is_bf16, sums[1], _mm256_loadu_ps(floats), halves);
    }
    return _mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3]));
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
INLINED void store_four(const __m256i partial[4], uint32_t sums[4]) {
    __m256i four = _mm256_hadd_epi32(_mm256_hadd_epi32(partial[0], partial[1]),
                                     _mm256_hadd_epi32(partial[2], partial[3]));
    _mm_storeu_si128((__m128i *)sums, _mm_add_epi32(_mm256_castsi256_si128(four),
                                                    _mm256_extracti128_si256(four, 1)));
}

INLINED __m256i widened_bytes(bool is_signed, const uint8_t *bytes) {
    __m128i sixteen = _mm_loadu_si128((const __m128i *)bytes);
    return is_signed ? _mm256_cvtepi8_epi16(sixteen) : _mm256_cvtepu8_epi16(sixteen);
}

INLINED __m256i add_byte_terms(bool l2, bool is_signed, __m256i sum, const uint8_t *query,
                               const uint8_t *row) {
    __m256i a = widened_bytes(is_signed, query), b = widened_bytes(is_signed, row);
    if (l2) {
        a = _mm256_sub_epi16(a, b);
        b = a;
    }
    return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
}

INLINED void four_byte_sums(bool l2, bool is_signed, const uint8_t *query,
                            const void *const rows[4], size_t dimensions, uint32_t sums[4]) {
    __m256i partial[4];
    for (int k = 0; k < 4; k++) {
        const uint8_t *row = rows[k];
        __m256i even = _mm256_setzero_si256(), odd = _mm256_setzero_si256();
        size_t i = 0;
        for (; i + 32 <= dimensions; i += 32) {
            even = add_byte_terms(l2, is_signed, even, query + i, row + i);
            odd = add_byte_terms(l2, is_signed, odd, query + i + 16, row + i + 16);
        }
        for (; i + 16 <= dimensions; i += 16) {
            even = add_byte_terms(l2, is_signed, even, query + i, row + i);
        }
        if (i < dimensions) {
            uint8_t rest[2][16] = {{0}, {0}};
            memcpy(rest[0], query + i, dimensions - i);
            memcpy(rest[1], row + i, dimensions - i);
            odd = add_byte_terms(l2, is_signed, odd, rest[0], rest[1]);
        }
        partial[k] = _mm256_add_epi32(even, odd);
    }
    store_four(partial, sums);
}

INLINED uint32_t missing_term(bool is_signed, const uint8_t *query, size_t dimensions) {
    (void)is_signed, (void)query, (void)dimensions;
    return 0;
}

// MARK: Bits

/// How many bits each word of 64 has, each at most 64.
INLINED __m256i bit_counts(__m256i words) {
    const __m256i counts = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1,
                                            2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    const __m256i low = _mm256_set1_epi8(15);
    __m256i lower = _mm256_shuffle_epi8(counts, _mm256_and_si256(words, low));
    __m256i upper = _mm256_shuffle_epi8(counts, _mm256_and_si256(_mm256_srli_epi16(words, 4), low));
    return _mm256_sad_epu8(_mm256_add_epi8(lower, upper), _mm256_setzero_si256());
}

INLINED __m256i add_bits(bool l2, __m256i sum, const void *query, const void *row) {
    __m256i a = load(query), b = load(row);
    return _mm256_add_epi64(sum, bit_counts(l2 ? _mm256_xor_si256(a, b) : _mm256_and_si256(a, b)));
}

INLINED void four_bit_sums(bool l2, const uint64_t *query, const void *const rows[4], size_t words,
                           uint32_t sums[4]) {
    __m256i partial[4];
    for (int k = 0; k < 4; k++) {
        const uint8_t *row = rows[k], *own = (const uint8_t *)query;
        partial[k] = _mm256_setzero_si256();
        size_t i = 0;
        for (; i + 32 <= 8 * words; i += 32) {
            partial[k] = add_bits(l2, partial[k], own + i, row + i);
        }
        if (i < 8 * words) {
            uint64_t rest[2][4] = {{0}, {0}};
            memcpy(rest[0], own + i, 8 * words - i);
            memcpy(rest[1], row + i, 8 * words - i);
            partial[k] = add_bits(l2, partial[k], rest[0], rest[1]);
        }
    }
    store_four(partial, sums);
}

#define KERNELS cordwood_element_avx2
#define SUPPORTED supported
#include "loops.h"

#pragma clang attribute pop
#endif
