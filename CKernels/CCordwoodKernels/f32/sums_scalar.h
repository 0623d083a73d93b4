/// Sums over four rows of floats in plain C.
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { LANES = 8 };

typedef struct {
    float lanes[4];
} four_floats;

static inline float sum(bool l2, const float *query, const float *row, size_t dimensions) {
    float partial[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= dimensions; i += LANES) {
        for (size_t lane = 0; lane < LANES; lane++) {
            float a = query[i + lane], b = row[i + lane];
            partial[lane] += l2 ? (a - b) * (a - b) : a * b;
        }
    }
    for (size_t lane = 0; i + lane < dimensions; lane++) {
        float a = query[i + lane], b = row[i + lane];
        partial[lane] += l2 ? (a - b) * (a - b) : a * b;
    }
    return ((partial[0] + partial[4]) + (partial[2] + partial[6])) +
           ((partial[1] + partial[5]) + (partial[3] + partial[7]));
}

static inline four_floats four_sums(bool l2, const float *query, const float *const rows[4],
                                    size_t dimensions) {
    four_floats sums;
    for (int row = 0; row < 4; row++) {
        sums.lanes[row] = sum(l2, query, rows[row], dimensions);
    }
    return sums;
}

static inline void four_store(four_floats distances, float out[4]) {
    for (int lane = 0; lane < 4; lane++) {
        out[lane] = distances.lanes[lane];
    }
}
