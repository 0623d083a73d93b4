/// Where the parts of a list's codes are.
#pragma once

#include "../codes/quantizer.h"
#include "../include/cordwood_rabitq.h"

#include <string.h>

enum { BLOCK = CORDWOOD_RABITQ_BLOCK, TERMS = 0, SCALES = BLOCK, ERRORS = 2 * BLOCK };

/// The bytes of a block before its signs.
#define FACTOR_BYTES (3 * BLOCK * sizeof(float))

INLINE size_t sign_bytes(const cordwood_rabitq *quantizer) { return quantizer->dimensions / 8; }

INLINE size_t block_bytes(const cordwood_rabitq *quantizer) {
    return FACTOR_BYTES + BLOCK * sign_bytes(quantizer);
}

INLINE size_t row_bytes(const cordwood_rabitq *quantizer) {
    return quantizer->bits == 1 ? 0
                                : 2 * sizeof(float) + (quantizer->bits - 1) * sign_bytes(quantizer);
}

INLINE float float_at(const uint8_t *bytes, size_t index) {
    float value;
    memcpy(&value, bytes + index * sizeof(float), sizeof value);
    return value;
}

INLINE void put_float(uint8_t *bytes, size_t index, float value) {
    memcpy(bytes + index * sizeof(float), &value, sizeof value);
}

/// The width of the next field when `left` bits are still to be put into fields.
INLINE uint32_t field_width(uint32_t left) { return left >= 4 ? 4 : left >= 2 ? 2 : 1; }

/// The residual, tables, halves and a row's signs. Of what is behind the halves, 64 bytes may be
/// read.
INLINE size_t query_room_bytes(const cordwood_rabitq *quantizer) {
    return 11 * quantizer->dimensions;
}

INLINE size_t rotated_dimensions(size_t dimensions) {
    return (dimensions + CORDWOOD_ROTATION_MULTIPLE - 1) / CORDWOOD_ROTATION_MULTIPLE *
           CORDWOOD_ROTATION_MULTIPLE;
}

/// The largest power of two that is not larger.
INLINE size_t transformed(size_t rotated) {
    size_t power = CORDWOOD_ROTATION_MULTIPLE;
    while (2 * power <= rotated) {
        power *= 2;
    }
    return power;
}

/// The share of the deviation of a product that rounding a query to 14 bits, and sums of floats to
/// what they hold, may add; queries that are rounded more widen their bounds.
static const double full_slack = 0x1p-11;

/// Eight sums of products in double precision, in an order that does not depend on the instruction
/// set.
INLINE double product_of(const float *a, const float *b, size_t dimensions) {
    double lanes[8] = {0};
    for (size_t i = 0; i < dimensions; i += 8) {
        for (size_t lane = 0; lane < 8; lane++) {
            lanes[lane] += (double)a[i + lane] * (double)b[i + lane];
        }
    }
    return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
           ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}
