/// Sums over four rows of floats with NEON.
#pragma once

#include <arm_neon.h>
#include <stdbool.h>
#include <stddef.h>

typedef float32x4_t four_floats;

static inline __attribute__((always_inline)) float32x4_t
add_term(bool l2, float32x4_t sum, float32x4_t query, float32x4_t row) {
    if (l2) {
        float32x4_t difference = vsubq_f32(query, row);
        return vfmaq_f32(sum, difference, difference);
    }
    return vfmaq_f32(sum, query, row);
}

/// The first `count` floats, four at most, and zeros.
static inline __attribute__((always_inline)) float32x4_t load_up_to_four(const float *floats,
                                                                         size_t count) {
    if (count >= 4) {
        return vld1q_f32(floats);
    }
    float rest[4] = {0};
    for (size_t i = 0; i < count; i++) {
        rest[i] = floats[i];
    }
    return vld1q_f32(rest);
}

/// The sum over one row, as four partial sums. Each register has its place in the order of the
/// sums, so that zeros behind a vector change no bit.
static inline __attribute__((always_inline)) float32x4_t
row_sum(bool l2, const float *query, const float *row, size_t dimensions) {
    float32x4_t sums[4];
    for (int part = 0; part < 4; part++) {
        sums[part] = vdupq_n_f32(0);
    }
    size_t i = 0;
    for (; i + 16 <= dimensions; i += 16) {
        for (int part = 0; part < 4; part++) {
            sums[part] = add_term(l2, sums[part], vld1q_f32(query + i + 4 * part),
                                  vld1q_f32(row + i + 4 * part));
        }
    }
    for (int part = 0; part < 4 && i < dimensions; part++, i += 4) {
        sums[part] = add_term(l2, sums[part], load_up_to_four(query + i, dimensions - i),
                              load_up_to_four(row + i, dimensions - i));
    }
    return vaddq_f32(vaddq_f32(sums[0], sums[1]), vaddq_f32(sums[2], sums[3]));
}

static inline __attribute__((always_inline)) four_floats
four_sums(bool l2, const float *query, const float *const rows[4], size_t dimensions) {
    float32x4_t partial[4];
    for (int row = 0; row < 4; row++) {
        partial[row] = row_sum(l2, query, rows[row], dimensions);
    }
    return vpaddq_f32(vpaddq_f32(partial[0], partial[1]), vpaddq_f32(partial[2], partial[3]));
}

static inline __attribute__((always_inline)) void four_store(four_floats distances, float out[4]) {
    vst1q_f32(out, distances);
}
