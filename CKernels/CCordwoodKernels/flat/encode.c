// What is done once to a block of rows, when it is stored.

#include "flat.h"

#include <math.h>
#include <string.h>

enum { MOST_UNITS = 255 };

size_t cordwood_flat_group_bytes(const cordwood_quantizer *quantizer) {
    return group_steps(quantizer) * STEP_BYTES;
}

/// A float that is above a number.
static float rounded_up(double number) { return nextafterf((float)number, INFINITY); }

/// Where a row's codes are: `codes` of its tile's groups are side by side.
typedef struct {
    uint8_t *codes;
    size_t width;
} row_place;

/// The place of a row among the `count` of a block.
static row_place place_of(const cordwood_quantizer *quantizer, uint8_t *codes, size_t row,
                          size_t count) {
    const size_t tile = row / TILE_ROWS * TILE_ROWS, group = (row - tile) / CORDWOOD_FLAT_GROUP;
    return (row_place){codes + tile / CORDWOOD_FLAT_GROUP * cordwood_flat_group_bytes(quantizer) +
                           group * STEP_BYTES + row % CORDWOOD_FLAT_GROUP * STEP_CODES,
                       tile_width(count - tile)};
}

static void put(const cordwood_quantizer *quantizer, row_place place, size_t d, uint32_t code) {
    const size_t components = step_components(quantizer), at = d % components;
    uint8_t *byte =
        place.codes + d / components * place.width * STEP_BYTES + at % (size_t)STEP_CODES;
    if (at < STEP_CODES) {
        *byte = (uint8_t)code;
    } else {
        *byte |= (uint8_t)(code << 4);
    }
}

/// What is measured of a row, without being rounded.
typedef struct {
    double error, length, codes;
    float term;
} row_measures;

/// Writes the codes of a row, or without one of no difference.
static row_measures encode_row(const cordwood_quantizer *quantizer, const float *values,
                               row_place place) {
    const int32_t half = 1 << (quantizer->bits - 1);
    const size_t padded = group_steps(quantizer) * step_components(quantizer);
    row_measures sums = {0};
    float term[CODE_LANES] = {0};
    for (size_t d = 0; d < padded; d++) {
        uint32_t code = (uint32_t)half;
        if (values && d < quantizer->dimensions) {
            code = code_of(quantizer, d, values[d]);
            const int32_t steps = (int32_t)code - half;
            const double off =
                values[d] - (quantizer->centers[d] + (double)quantizer->steps[d] * steps);
            sums.error += off * off;
            sums.length += (double)values[d] * values[d];
            sums.codes += (double)steps * steps;
            const float difference = quantizer->steps[d] * (float)steps;
            const float square = difference * difference;
            term[d % CODE_LANES] += square;
        }
        put(quantizer, place, d, code);
    }
    sums.term = quantizer->metric == CORDWOOD_L2 ? sum_of_lanes(term) : 0;
    return sums;
}

void cordwood_flat_encode(const cordwood_quantizer *quantizer, const float *rows, size_t stride,
                          size_t count, uint8_t *codes, float *terms, uint8_t *errors,
                          cordwood_flat_bounds *bounds) {
    const size_t padded =
        (count + CORDWOOD_FLAT_GROUP - 1) / CORDWOOD_FLAT_GROUP * CORDWOOD_FLAT_GROUP;
    double each[CORDWOOD_FLAT_BLOCK], error = 0, length = 0, code = 0;
    float term = 0;
    for (size_t row = 0; row < padded; row++) {
        const row_measures sums = encode_row(quantizer, row < count ? rows + row * stride : NULL,
                                             place_of(quantizer, codes, row, count));
        // A trifle more, for the roundings of the sum.
        each[row] = sqrt(sums.error) * (1 + 1e-9);
        error = fmax(error, each[row]);
        length = fmax(length, sums.length);
        code = fmax(code, sums.codes);
        term = larger(term, sums.term);
        if (quantizer->metric == CORDWOOD_L2) {
            terms[row] = sums.term;
        }
    }
    *bounds = (cordwood_flat_bounds){rounded_up(error / MOST_UNITS), rounded_up(sqrt(code)), term,
                                     rounded_up(sqrt(length))};
    for (size_t row = 0; row < padded; row++) {
        errors[row] = (uint8_t)fmin(ceil(each[row] / bounds->unit), MOST_UNITS);
    }
}
