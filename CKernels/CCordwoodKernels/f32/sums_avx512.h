/// Sums over four rows of floats with AVX-512. To be included where the functions are compiled for
/// it.
#pragma once

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>

typedef __m128 four_floats;

static inline __attribute__((always_inline)) __m512 add_term(bool l2, __m512 sum, __m512 query,
                                                             __m512 row) {
    if (l2) {
        __m512 difference = _mm512_sub_ps(query, row);
        return _mm512_fmadd_ps(difference, difference, sum);
    }
    return _mm512_fmadd_ps(query, row, sum);
}

static inline __attribute__((always_inline)) __m256 halve(__m512 sum) {
    return _mm256_add_ps(_mm512_castps512_ps256(sum), _mm512_extractf32x8_ps(sum, 1));
}

/// The sum over one row, as eight partial sums.
static inline __attribute__((always_inline)) __m256 row_sum(bool l2, const float *query,
                                                            const float *row, size_t dimensions) {
    __m512 sums[4];
    for (int part = 0; part < 4; part++) {
        sums[part] = _mm512_setzero_ps();
    }
    size_t i = 0;
    for (; i + 64 <= dimensions; i += 64) {
        for (int part = 0; part < 4; part++) {
            sums[part] = add_term(l2, sums[part], _mm512_loadu_ps(query + i + 16 * part),
                                  _mm512_loadu_ps(row + i + 16 * part));
        }
    }
    for (; i + 16 <= dimensions; i += 16) {
        sums[0] = add_term(l2, sums[0], _mm512_loadu_ps(query + i), _mm512_loadu_ps(row + i));
    }
    if (i < dimensions) {
        __mmask16 rest = (__mmask16)((1u << (dimensions - i)) - 1);
        sums[1] = add_term(l2, sums[1], _mm512_maskz_loadu_ps(rest, query + i),
                           _mm512_maskz_loadu_ps(rest, row + i));
    }
    return halve(_mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), _mm512_add_ps(sums[2], sums[3])));
}

static inline __attribute__((always_inline)) four_floats
four_sums(bool l2, const float *query, const float *const rows[4], size_t dimensions) {
    __m256 halves[4];
    for (int row = 0; row < 4; row++) {
        halves[row] = row_sum(l2, query, rows[row], dimensions);
    }
    __m256 sums =
        _mm256_hadd_ps(_mm256_hadd_ps(halves[0], halves[1]), _mm256_hadd_ps(halves[2], halves[3]));
    return _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps(sums, 1));
}

static inline __attribute__((always_inline)) void four_store(four_floats distances, float out[4]) {
    _mm_storeu_ps(out, distances);
}
