/// Sums of products of codes and whole numbers in plain C.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// The sums over four pairs of a query and a row. With `is_half`, a byte of a row has two codes.
static inline void four_dots(bool is_half, const int8_t *const queries[4],
                             const uint8_t *const rows[4], size_t bytes, int32_t dots[4]) {
    for (int k = 0; k < 4; k++) {
        int32_t sum = 0;
        for (size_t i = 0; i < bytes; i++) {
            if (is_half) {
                sum +=
                    (rows[k][i] & 15) * queries[k][i] + (rows[k][i] >> 4) * queries[k][bytes + i];
            } else {
                sum += rows[k][i] * queries[k][i];
            }
        }
        dots[k] = sum;
    }
}
