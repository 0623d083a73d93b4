/// Sums over four rows of floats with AVX-512. To be included where the functions are compiled for
/// it.
#pragma once

#include "ahead.h"

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

/// How many of a vector's floats are summed four registers at a time, and which are in each of up
/// to four registers that follow.
typedef struct {
    size_t blocks;
    __mmask16 rest[4];
} vector_parts;

static inline __attribute__((always_inline)) vector_parts parts_of(size_t dimensions) {
    vector_parts parts = {.blocks = dimensions / 64 * 64};
    const uint64_t rest = ((uint64_t)1 << dimensions % 64) - 1;
    for (int part = 0; part < 4; part++) {
        parts.rest[part] = (__mmask16)(rest >> 16 * part);
    }
    return parts;
}

static inline __attribute__((always_inline)) __m512 load_row(bool is_scan, __mmask16 mask,
                                                             const float *floats) {
    if (is_scan) {
        read_ahead(floats);
    }
    return _mm512_maskz_loadu_ps(mask, floats);
}

/// The sum over one row, as sixteen partial sums. Each register has its place in the order of the
/// sums, so that zeros behind a vector change no bit.
static inline __attribute__((always_inline)) __m512
row_sum(bool l2, bool is_scan, const float *query, const float *row, vector_parts parts) {
    __m512 sums[4];
    for (int part = 0; part < 4; part++) {
        sums[part] = _mm512_setzero_ps();
    }
    size_t i = 0;
    for (; i < parts.blocks; i += 64) {
        for (int part = 0; part < 4; part++) {
            sums[part] = add_term(l2, sums[part], _mm512_loadu_ps(query + i + 16 * part),
                                  load_row(is_scan, 0xffff, row + i + 16 * part));
        }
    }
    for (int part = 0; part < 4 && parts.rest[part]; part++, i += 16) {
        sums[part] = add_term(l2, sums[part], _mm512_maskz_loadu_ps(parts.rest[part], query + i),
                              load_row(is_scan, parts.rest[part], row + i));
    }
    return _mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), _mm512_add_ps(sums[2], sums[3]));
}

static inline __attribute__((always_inline)) four_floats
four_sums(bool l2, const float *query, const float *const rows[4], size_t dimensions) {
    const vector_parts parts = parts_of(dimensions);
    __m256 halves[4];
    for (int row = 0; row < 4; row++) {
        halves[row] = halve(row_sum(l2, false, query, rows[row], parts));
    }
    __m256 sums =
        _mm256_hadd_ps(_mm256_hadd_ps(halves[0], halves[1]), _mm256_hadd_ps(halves[2], halves[3]));
    return _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps(sums, 1));
}

static inline __attribute__((always_inline)) void four_store(four_floats distances, float out[4]) {
    _mm_storeu_ps(out, distances);
}
