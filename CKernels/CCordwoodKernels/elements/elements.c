// What is done once to a row of elements, when it is stored or read back.

#include "../include/cordwood_elements.h"
#include "halves.h"

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

size_t cordwood_element_row_bytes(cordwood_element element, size_t dimensions) {
    switch (element) {
    case CORDWOOD_F32:
        return dimensions * sizeof(float);
    case CORDWOOD_F16:
    case CORDWOOD_BF16:
        return dimensions * sizeof(uint16_t);
    case CORDWOOD_I8:
    case CORDWOOD_U8:
        return dimensions;
    case CORDWOOD_BITS:
        return (dimensions + 63) / 64 * sizeof(uint64_t);
    }
    return 0;
}

static uint16_t f16_of_float(float value) {
    const uint32_t bits = bits_of_float(value), magnitude = bits & 0x7fffffff;
    const uint32_t sign = bits >> 16 & 0x8000;
    if (magnitude > 0x7f800000) {
        return (uint16_t)(sign | 0x7e00);
    }
    if (magnitude >= 0x477ff000) { // 65,520, half way to what would be the next.
        return (uint16_t)(sign | 0x7c00);
    }
    if (magnitude < 0x38800000) { // 2^-14: steps of 2^-24, which an addition rounds to.
        uint32_t steps = bits_of_float(float_of_bits(magnitude) + 0.5f) - bits_of_float(0.5f);
        return (uint16_t)(sign | steps);
    }
    // Half a step less a trifle, and the trifle where the step below is odd: nearest, then even.
    uint32_t rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
    return (uint16_t)(sign | (rounded - (112u << 23)) >> 13);
}

static uint16_t bf16_of_float(float value) {
    const uint32_t bits = bits_of_float(value);
    if ((bits & 0x7fffffff) > 0x7f800000) {
        return (uint16_t)(bits >> 16 | 0x40);
    }
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/// Whether `error`, a sum of squares, is within `part` of the squared length. What is infinite or
/// not a number is not.
static bool is_within(double error, double part, double length) { return error <= part * length; }

bool cordwood_f16_encode(const float *vector, size_t count, uint16_t *halves) {
    double error = 0, length = 0;
    for (size_t i = 0; i < count; i++) {
        halves[i] = f16_of_float(vector[i]);
        double difference = (double)vector[i] - float_of_f16(halves[i]);
        error += difference * difference;
        length += (double)vector[i] * vector[i];
    }
    return is_within(error, 0x1p-20, length);
}

bool cordwood_bf16_encode(const float *vector, size_t count, uint16_t *halves) {
    double error = 0, length = 0;
    for (size_t i = 0; i < count; i++) {
        halves[i] = bf16_of_float(vector[i]);
        double difference = (double)vector[i] - float_of_bf16(halves[i]);
        error += difference * difference;
        length += (double)vector[i] * vector[i];
    }
    return is_within(error, 0x1p-14, length);
}

void cordwood_f16_decode(const uint16_t *halves, size_t count, float *vector) {
    for (size_t i = 0; i < count; i++) {
        vector[i] = float_of_f16(halves[i]);
    }
}

void cordwood_bf16_decode(const uint16_t *halves, size_t count, float *vector) {
    for (size_t i = 0; i < count; i++) {
        vector[i] = float_of_bf16(halves[i]);
    }
}
