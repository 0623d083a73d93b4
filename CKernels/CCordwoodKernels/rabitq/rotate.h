/// The random rotation's loops, compiled once for each instruction set.
#pragma once

#include "layout.h"

/// Hadamard's transform without its factor. Two steps at a time: each reads and writes all values,
/// and that, not the additions, is what bounds it.
INLINE void hadamard(float *values, size_t count) {
    size_t width = 1;
    for (; 4 * width <= count; width *= 4) {
        for (size_t first = 0; first < count; first += 4 * width) {
            float *a = values + first, *b = a + width, *c = b + width, *d = c + width;
            for (size_t i = 0; i < width; i++) {
                float ab = a[i] + b[i], a_b = a[i] - b[i], cd = c[i] + d[i], c_d = c[i] - d[i];
                a[i] = ab + cd;
                b[i] = a_b + c_d;
                c[i] = ab - cd;
                d[i] = a_b - c_d;
            }
        }
    }
    for (; width < count; width *= 2) {
        for (size_t first = 0; first < count; first += 2 * width) {
            float *a = values + first, *b = a + width;
            for (size_t i = 0; i < width; i++) {
                float sum = a[i] + b[i], difference = a[i] - b[i];
                a[i] = sum;
                b[i] = difference;
            }
        }
    }
}

static void rotate(const cordwood_rotation *rotation, const float *vector, float *rotated) {
    const size_t count = rotated_dimensions(rotation->dimensions), power = transformed(count);
    for (size_t i = 0; i < rotation->dimensions; i++) {
        rotated[i] = rotation->origin ? vector[i] - rotation->origin[i] : vector[i];
    }
    memset(rotated + rotation->dimensions, 0, (count - rotation->dimensions) * sizeof(float));
    for (size_t round = 0; round < CORDWOOD_ROTATION_ROUNDS; round++) {
        const float *factors = rotation->factors + round * count;
        for (size_t i = 0; i < count; i++) {
            rotated[i] *= factors[i];
        }
        hadamard(rotated + (round % 2 ? count - power : 0), power);
        if (power < count) {
            const size_t half = count / 2;
            for (size_t i = 0; i < half; i++) {
                float a = rotated[i], b = rotated[half + i];
                rotated[i] = (a + b) * 0x1.6a09e6p-1f;
                rotated[half + i] = (a - b) * 0x1.6a09e6p-1f;
            }
        }
    }
}
