/// Sums over four rows of floats with AVX2 and FMA. To be included where the functions are compiled
/// for them.
#pragma once

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>

typedef __m128 four_floats;

static inline __attribute__((always_inline)) __m256 add_term(bool l2, __m256 sum, __m256 query,
                                                             __m256 row) {
    if (l2) {
        __m256 difference = _mm256_sub_ps(query, row);
        return _mm256_fmadd_ps(difference, difference, sum);
    }
    return _mm256_fmadd_ps(query, row, sum);
}

/// The sum over one row, as eight partial sums. Each register has its place in the order of the
/// sums, so that zeros behind a vector change no bit.
static inline __attribute__((always_inline)) __m256 row_sum(bool l2, const float *query,
                                                            const float *row, size_t dimensions) {
    __m256 sums[4];
    for (int part = 0; part < 4; part++) {
        sums[part] = _mm256_setzero_ps();
    }
    size_t i = 0;
    for (; i + 32 <= dimensions; i += 32) {
        for (int part = 0; part < 4; part++) {
            sums[part] = add_term(l2, sums[part], _mm256_loadu_ps(query + i + 8 * part),
                                  _mm256_loadu_ps(row + i + 8 * part));
        }
    }
    for (int part = 0; part < 4 && i < dimensions; part++, i += 8) {
        __m256i rest = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)(dimensions - i)),
                                          _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
        sums[part] = add_term(l2, sums[part], _mm256_maskload_ps(query + i, rest),
                              _mm256_maskload_ps(row + i, rest));
    }
    return _mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3]));
}

static inline __attribute__((always_inline)) four_floats
four_sums(bool l2, const float *query, const float *const rows[4], size_t dimensions) {
    __m256 partial[4];
    for (int row = 0; row < 4; row++) {
        partial[row] = row_sum(l2, query, rows[row], dimensions);
    }
    __m256 sums = _mm256_hadd_ps(_mm256_hadd_ps(partial[0], partial[1]),
                                 _mm256_hadd_ps(partial[2], partial[3]));
    return _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps(sums, 1));
}

static inline __attribute__((always_inline)) void four_store(four_floats distances, float out[4]) {
    _mm_storeu_ps(out, distances);
}
