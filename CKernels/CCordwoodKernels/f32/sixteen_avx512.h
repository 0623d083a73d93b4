/// Sums over sixteen rows of floats with AVX-512, for scans. To be included where the functions are
/// compiled for it.
#pragma once

#include "sums_avx512.h"

#define HAS_SIXTEEN_SUMS

typedef __m512 sixteen_floats;

/// A query of a scan. `registers`, which is known when the loop is compiled, says how many whole
/// registers follow its blocks. A short query, of less than 64 dimensions, stays in registers
/// itself.
typedef struct {
    const float *query;
    size_t registers;
    vector_parts parts;
    __m512 own[4];
} scan_query;

static inline __attribute__((always_inline)) scan_query
make_scan_query(bool is_short, size_t registers, const float *query, size_t dimensions) {
    scan_query made = {query, registers, parts_of(dimensions), {}};
    for (size_t part = 0; part < 4; part++) {
        if (part != registers) {
            made.parts.rest[part] = part < registers ? 0xffff : 0;
        }
        if (is_short && part <= registers) {
            made.own[part] = _mm512_maskz_loadu_ps(made.parts.rest[part], query + 16 * part);
        }
    }
    return made;
}

/// As `row_sum` of less than 64 dimensions, bit for bit but for the sign of a zero, which no
/// distance has.
static inline __attribute__((always_inline)) __m512 short_row_sum(bool l2, const scan_query *query,
                                                                  const float *row) {
    __m512 sums[4];
    for (size_t part = 0; part <= query->registers; part++) {
        sums[part] = add_term(l2, _mm512_setzero_ps(), query->own[part],
                              load_row(true, query->parts.rest[part], row + 16 * part));
    }
    switch (query->registers) {
    case 0:
        return sums[0];
    case 1:
        return _mm512_add_ps(sums[0], sums[1]);
    case 2:
        return _mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), sums[2]);
    default:
        return _mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), _mm512_add_ps(sums[2], sums[3]));
    }
}

/// Sums in pairs: of the lanes of a register and then of the other's.
static inline __attribute__((always_inline)) __m512 pairwise(__m512 a, __m512 b) {
    return _mm512_add_ps(_mm512_shuffle_ps(a, b, 0x88), _mm512_shuffle_ps(a, b, 0xdd));
}

/// The sums over sixteen rows, one behind the other, in the order of `four_sums`: what is reduced
/// there for four rows is reduced here for sixteen, in half the instructions.
static inline __attribute__((always_inline)) sixteen_floats
sixteen_sums(bool l2, bool is_short, const scan_query *query, const float *rows, size_t stride) {
    __m512 pairs[8];
    for (size_t pair = 0; pair < 8; pair++) {
        __m512 own[2];
        for (size_t k = 0; k < 2; k++) {
            const float *row = rows + (2 * pair + k) * stride;
            own[k] = is_short ? short_row_sum(l2, query, row)
                              : row_sum(l2, true, query->query, row, query->parts);
        }
        pairs[pair] = _mm512_add_ps(_mm512_shuffle_f32x4(own[0], own[1], 0x44),
                                    _mm512_shuffle_f32x4(own[0], own[1], 0xee));
    }
    __m512 first = pairwise(pairwise(pairs[0], pairs[1]), pairwise(pairs[2], pairs[3]));
    __m512 second = pairwise(pairwise(pairs[4], pairs[5]), pairwise(pairs[6], pairs[7]));
    __m512 sums = _mm512_add_ps(_mm512_shuffle_f32x4(first, second, 0x88),
                                _mm512_shuffle_f32x4(first, second, 0xdd));
    // Of each half the even rows now come before the odd ones.
    const __m512i order = _mm512_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15);
    return _mm512_permutexvar_ps(order, sums);
}

static inline __attribute__((always_inline)) sixteen_floats sixteen_minus(float base,
                                                                          sixteen_floats sums) {
    return _mm512_sub_ps(_mm512_set1_ps(base), sums);
}

static inline __attribute__((always_inline)) unsigned sixteen_not_beyond(sixteen_floats distances,
                                                                         float limit) {
    return _mm512_cmp_ps_mask(distances, _mm512_set1_ps(limit), _CMP_NGT_UQ);
}

static inline __attribute__((always_inline)) void sixteen_store(sixteen_floats distances,
                                                                float out[16]) {
    _mm512_storeu_ps(out, distances);
}
