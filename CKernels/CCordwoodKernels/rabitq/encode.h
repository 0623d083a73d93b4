/// What is done once to a row, when it is stored.
#pragma once

#include "layout.h"

#include <float.h>
#include <math.h>

enum { COARSE_STEPS = 16, FINE_STEPS = 8 };

/// How well the magnitudes' codes point where the magnitudes do, of which each is multiplied by
/// `scale` and cut: the square of <y, r> / |y|.
INLINE float alignment(const float *magnitudes, size_t dimensions, float scale, float most) {
    float products[CODE_LANES] = {0}, squares[CODE_LANES] = {0};
    for (size_t d = 0; d < dimensions; d += CODE_LANES) {
        for (size_t lane = 0; lane < CODE_LANES; lane++) {
            float magnitude = magnitudes[d + lane];
            float level = (float)(int32_t)smaller(magnitude * scale, most) + 0.5f;
            products[lane] += level * magnitude;
            squares[lane] += level * level;
        }
    }
    float product = sum_of_lanes(products);
    return product * product / sum_of_lanes(squares);
}

/// The scale that points best, of magnitudes of at most 1. It lies where a few of the largest
/// magnitudes are cut: a search over how far these are, coarse and then fine, is within a
/// thousandth of the best cosine, for which all scales at which a code changes would have to be
/// sorted.
INLINE float best_scale(const float *magnitudes, size_t dimensions, float most) {
    const float whole = most + 1;
    float best = whole, best_alignment = -1, step = 1.0f / COARSE_STEPS;
    for (int i = 0; i < COARSE_STEPS; i++) {
        // From a cut at the greatest down to one at a quarter of it.
        float scale = whole * (1 + 3 * step * (float)i);
        float found = alignment(magnitudes, dimensions, scale, most);
        if (found > best_alignment) {
            best_alignment = found;
            best = scale;
        }
    }
    const float center = best, width = whole * 3 * step;
    for (int i = 1 - FINE_STEPS; i < FINE_STEPS; i++) {
        float scale = center + width * (float)i / FINE_STEPS;
        float found = alignment(magnitudes, dimensions, scale, most);
        if (found > best_alignment) {
            best_alignment = found;
            best = scale;
        }
    }
    return best;
}

/// What a row's estimate needs: `product` is <y, r> and `squares` |y|^2.
INLINE void put_factors(uint8_t *bytes, size_t scale, size_t error, double norm, double product,
                        double squares, double slack, size_t dimensions) {
    double factor = 0, deviation = 0;
    if (product > 0) {
        factor = norm / product;
        // |r| / cos is factor * |y|.
        double length = factor * factor * squares;
        double missing = length > norm ? length - norm : 0;
        deviation =
            sqrt(missing / (double)(dimensions - 1)) + slack * sqrt(length / (double)dimensions);
    }
    // Beyond what a float can say, the bound says nothing.
    bool fits = factor < FLT_MAX && deviation < FLT_MAX && norm < FLT_MAX;
    put_float(bytes, scale, fits ? (float)factor : 0);
    put_float(bytes, error, fits ? (float)deviation : FLT_MAX);
}

/// Writes the fields of the bits below the first, of which `row` has the whole numbers.
INLINE void put_fields(const float *row, uint32_t low_bits, size_t bytes, uint8_t *fields) {
    memset(fields, 0, low_bits * bytes);
    for (uint32_t left = low_bits; left > 0;) {
        const uint32_t width = field_width(left), mask = (1u << width) - 1;
        const size_t count = width * bytes;
        left -= width;
        for (uint32_t k = 0; k < 8 / width; k++) {
            const float *values = row + k * count;
            for (size_t i = 0; i < count; i++) {
                fields[i] |= (uint8_t)(((uint32_t)(int32_t)values[i] >> left & mask) << k * width);
            }
        }
        fields += count;
    }
}

/// The bits below the first, and their factors. `row` has the differences, whose squared norm is
/// `norm`.
INLINE void encode_extra(const cordwood_rabitq *quantizer, float *row, double norm,
                         uint8_t *extra) {
    const size_t dimensions = quantizer->dimensions;
    const uint32_t low_bits = quantizer->bits - 1;
    const float most = (float)((1u << low_bits) - 1);
    float greatest = 0;
    for (size_t d = 0; d < dimensions; d++) {
        greatest = larger(greatest, magnitude(row[d]));
    }
    // Brought to 1, so that no square is beyond floats. What cannot be divided by is as good as
    // nothing.
    const float per_greatest = greatest > 0x1p-100f ? 1 / greatest : 0;
    float *magnitudes = row;
    uint8_t *fields = extra + 2 * sizeof(float);
    const size_t bytes = sign_bytes(quantizer);
    // The signs, a bit to each component, where the fields will be.
    for (size_t i = 0; i < bytes; i++) {
        fields[i] = 0;
    }
    for (size_t d = 0; d < dimensions; d++) {
        fields[d / 8] |= (uint8_t)((uint32_t)(row[d] >= 0) << d % 8);
        magnitudes[d] = magnitude(row[d]) * per_greatest;
    }
    const float scale = best_scale(magnitudes, dimensions, most);
    double product = 0, squares = 0;
    for (size_t d = 0; d < dimensions; d++) {
        float level = (float)(int32_t)smaller(magnitudes[d] * scale, most);
        product += (level + 0.5) * (double)magnitudes[d];
        squares += (level + 0.5) * (level + 0.5);
        row[d] = fields[d / 8] >> d % 8 & 1 ? level : most - level;
    }
    put_fields(row, low_bits, bytes, fields);
    put_factors(extra, 0, 1, norm, product * greatest, squares, full_slack, dimensions);
}

static void encode(const cordwood_rabitq *quantizer, const float *center, float *rows,
                   size_t position, size_t count, uint8_t *blocks, uint8_t *extra) {
    const size_t dimensions = quantizer->dimensions, bytes = sign_bytes(quantizer);
    for (size_t end = position + count; position < end; position++, rows += dimensions) {
        uint8_t *block = blocks + position / BLOCK * block_bytes(quantizer);
        const size_t lane = position % BLOCK;
        float sums[CODE_LANES] = {0};
        for (size_t d = 0; d < dimensions; d += CODE_LANES) {
            for (size_t i = 0; i < CODE_LANES; i++) {
                rows[d + i] -= center[d + i];
                sums[i] += magnitude(rows[d + i]);
            }
        }
        uint8_t *signs = block + FACTOR_BYTES + lane;
        for (size_t i = 0; i < bytes; i++) {
            uint32_t byte = 0;
            for (uint32_t k = 0; k < 8; k++) {
                byte |= (uint32_t)(rows[k * bytes + i] >= 0) << k;
            }
            signs[i * BLOCK] = (uint8_t)byte;
        }
        const double norm = product_of(rows, rows, dimensions);
        const bool l2 = quantizer->metric == CORDWOOD_L2;
        const double term = l2 ? norm : -product_of(rows, center, dimensions);
        // Terms that no float holds: the least there is, so that the bound lets the row through.
        bool fits = term < FLT_MAX && term > -FLT_MAX;
        put_float(block, TERMS + lane, fits ? (float)term : l2 ? 0 : -FLT_MAX);
        // A row whose sum of magnitudes, or term, is beyond floats has no product, and no bound.
        double product = 0.5 * (double)sum_of_lanes(sums);
        double counted = fits ? norm : INFINITY;
        put_factors(block, SCALES + lane, ERRORS + lane, counted, product,
                    0.25 * (double)dimensions, 0, dimensions);
        if (quantizer->bits > 1) {
            encode_extra(quantizer, rows, counted, extra + position * row_bytes(quantizer));
        }
    }
}
