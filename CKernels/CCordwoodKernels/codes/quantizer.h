/// What every instruction set does with a quantizer, compiled once in each of its files, so that
/// the compiler can use its registers. No two roundings are made one, so that all give the same
/// bits.
#pragma once

#include "../include/cordwood_codes.h"

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

#define INLINE static inline __attribute__((always_inline))

enum { CODE_LANES = 16 };

/// Bytes of a row's components.
INLINE size_t code_bytes(const cordwood_quantizer *quantizer) {
    size_t bytes = quantizer->bits == 4 ? (quantizer->dimensions + 1) / 2 : quantizer->dimensions;
    return (bytes + 15) / 16 * 16;
}

INLINE size_t code_stride(const cordwood_quantizer *quantizer) {
    return code_bytes(quantizer) + (quantizer->metric == CORDWOOD_L2 ? sizeof(float) : 0);
}

/// How many components a row has, with its padding.
INLINE size_t code_count(const cordwood_quantizer *quantizer) {
    return code_bytes(quantizer) * (quantizer->bits == 4 ? 2 : 1);
}

INLINE size_t query_bytes(const cordwood_quantizer *quantizer) {
    return (code_count(quantizer) + 63) / 64 * 64;
}

/// The nearest whole number, to even if there are two; for what is below 2^22.
INLINE int32_t rounded(float value) {
    const float shift = 0x1.8p23f;
    union {
        float value;
        int32_t bits;
    } shifted = {value + shift}, zero = {shift};
    return shifted.bits - zero.bits;
}

INLINE float larger(float a, float b) { return a > b ? a : b; }
INLINE float smaller(float a, float b) { return a < b ? a : b; }
INLINE float magnitude(float a) { return a < 0 ? -a : a; }

INLINE float sum_of_lanes(const float *lanes) {
    float sums[CODE_LANES];
    for (int i = 0; i < CODE_LANES; i++) {
        sums[i] = lanes[i];
    }
    for (int width = CODE_LANES / 2; width > 0; width /= 2) {
        for (int i = 0; i < width; i++) {
            sums[i] += sums[i + width];
        }
    }
    return sums[0];
}

/// The code nearest to a component. Comparing before rounding keeps what is far outside from
/// overflowing, and takes what is not a number for the least.
INLINE uint32_t code_of(const cordwood_quantizer *quantizer, size_t d, float component) {
    const float half = (float)(1 << (quantizer->bits - 1));
    float steps = (component - quantizer->centers[d]) / quantizer->steps[d];
    float code = (steps > -half ? steps : -half) + half;
    return (uint32_t)rounded(smaller(code, 2 * half - 1));
}

/// Makes `query` of `values(d)`, the components' part in the products before they are scaled, of
/// which there are `dimensions`; the others are zeros. `values` is a macro, so that the loops stay
/// free of calls.
#define QUANTIZE_QUERY(quantizer, values, room, query)                                             \
    do {                                                                                           \
        const size_t quantized_count = (quantizer)->dimensions;                                    \
        float greatest = 0;                                                                        \
        for (size_t d = 0; d < quantized_count; d++) {                                             \
            greatest = larger(greatest, magnitude(values(d)));                                     \
        }                                                                                          \
        /* What is too small to be divided by is as good as nothing. */                            \
        const bool is_nothing = !(greatest > 0x1p-100f);                                           \
        const float unit = is_nothing ? 1 : greatest / 127;                                        \
        const float per_unit = is_nothing ? 0 : 127 / greatest;                                    \
        int32_t sum = 0;                                                                           \
        for (size_t d = 0; d < quantized_count; d++) {                                             \
            int32_t number = rounded(values(d) * per_unit);                                        \
            sum += number;                                                                         \
            (room)[d] = (int8_t)number;                                                            \
        }                                                                                          \
        const size_t padded = query_bytes(quantizer);                                              \
        for (size_t d = quantized_count; d < padded; d++) {                                        \
            (room)[d] = 0;                                                                         \
        }                                                                                          \
        (query)->components = (room);                                                              \
        (query)->scale = (quantizer)->metric == CORDWOOD_L2 ? 2 * unit : unit;                     \
        (query)->shift = sum * (1 << ((quantizer)->bits - 1));                                     \
    } while (0)

INLINE void prepare_vector(const cordwood_quantizer *quantizer, const float *vector, int8_t *room,
                           cordwood_code_query *query) {
    const float *centers = quantizer->centers, *steps = quantizer->steps;
    const size_t dimensions = quantizer->dimensions;
    const bool l2 = quantizer->metric == CORDWOOD_L2;
    float lanes[CODE_LANES] = {0};
    for (size_t d = 0; d < dimensions; d += CODE_LANES) {
        for (size_t lane = 0; lane < CODE_LANES && d + lane < dimensions; lane++) {
            float difference = vector[d + lane] - centers[d + lane];
            float term = l2 ? difference * difference : vector[d + lane] * centers[d + lane];
            lanes[lane] += term;
        }
    }
    float constant = sum_of_lanes(lanes);
    query->base = l2 ? constant : quantizer->base - constant;
    if (l2) {
#define DIFFERENCE(d) ((vector[d] - centers[d]) * steps[d])
        QUANTIZE_QUERY(quantizer, DIFFERENCE, room, query);
#undef DIFFERENCE
    } else {
#define COMPONENT(d) (vector[d] * steps[d])
        QUANTIZE_QUERY(quantizer, COMPONENT, room, query);
#undef COMPONENT
    }
}

/// As `prepare_vector` of what a row of 8-bit codes stands for.
INLINE void prepare_row(const cordwood_quantizer *quantizer, const uint8_t *row, int8_t *room,
                        cordwood_code_query *query) {
    const float *centers = quantizer->centers, *steps = quantizer->steps;
    const size_t dimensions = quantizer->dimensions;
    const bool l2 = quantizer->metric == CORDWOOD_L2;
    float lanes[CODE_LANES] = {0};
    for (size_t d = 0; d < dimensions; d += CODE_LANES) {
        for (size_t lane = 0; lane < CODE_LANES && d + lane < dimensions; lane++) {
            float difference = steps[d + lane] * (float)((int32_t)row[d + lane] - 128);
            float term =
                l2 ? difference * difference : (centers[d + lane] + difference) * centers[d + lane];
            lanes[lane] += term;
        }
    }
    float constant = sum_of_lanes(lanes);
    query->base = l2 ? constant : quantizer->base - constant;
#define DIFFERENCE(d) (steps[d] * (float)((int32_t)row[d] - 128))
    if (l2) {
#define OF_DIFFERENCE(d) (DIFFERENCE(d) * steps[d])
        QUANTIZE_QUERY(quantizer, OF_DIFFERENCE, room, query);
#undef OF_DIFFERENCE
    } else {
#define OF_COMPONENT(d) ((centers[d] + DIFFERENCE(d)) * steps[d])
        QUANTIZE_QUERY(quantizer, OF_COMPONENT, room, query);
#undef OF_COMPONENT
    }
#undef DIFFERENCE
}
