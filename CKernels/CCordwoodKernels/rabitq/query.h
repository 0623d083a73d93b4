/// What is done once to a query and a list.
#pragma once

#include "layout.h"

#include <math.h>

/// Sums of floats, and floats that were rounded, are off by less than this share of their parts.
#define ROUNDING 0x1p-20f

enum { PATTERNS = 16 };

/// Where the parts of a query's room are.
typedef struct {
    float *residual;
    uint8_t *tables;
    int8_t *high;
    int8_t *low;
    uint8_t *signs;
} query_room;

INLINE query_room room_of(const cordwood_rabitq *quantizer, uint8_t *room) {
    const size_t d = quantizer->dimensions;
    return (query_room){(float *)(void *)room, room + 4 * d, (int8_t *)room + 8 * d,
                        (int8_t *)room + 9 * d, room + 10 * d};
}

/// Fills the tables. Table 2 i + h is for byte i's half h, whose bit k is the sign of component
/// (4 h + k) * bytes + i. Sixteen patterns at a time: bound by additions, about one to a pattern
/// and component. Returns the step, and in `squares` the sum over all tables of the mean square of
/// what rounding did.
INLINE float fill_tables(const float *residual, size_t bytes, uint8_t *tables, double *squares) {
    static const float has[4][PATTERNS] = {{0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1},
                                           {0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1},
                                           {0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1},
                                           {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1}};
    float widest = 0;
    for (size_t half = 0; half < 2; half++) {
        const float *q = residual + half * 4 * bytes;
        for (size_t i = 0; i < bytes; i++) {
            float width = (magnitude(q[i]) + magnitude(q[bytes + i])) +
                          (magnitude(q[2 * bytes + i]) + magnitude(q[3 * bytes + i]));
            widest = larger(widest, width);
        }
    }
    // What is too small to be divided by is as good as nothing.
    const bool is_nothing = !(widest > 0x1p-100f);
    // Two entries fit one byte together.
    const float step = is_nothing ? 1 : widest / 127, per_step = is_nothing ? 0 : 127 / widest;
    float off[PATTERNS] = {0};
    for (size_t table = 0; table < 2 * bytes; table++) {
        const float *q = residual + table % 2 * 4 * bytes + table / 2;
        const float a = q[0], b = q[bytes], c = q[2 * bytes], d = q[3 * bytes];
        const float least = (smaller(a, 0) + smaller(b, 0)) + (smaller(c, 0) + smaller(d, 0));
        for (size_t pattern = 0; pattern < PATTERNS; pattern++) {
            float sum = (has[0][pattern] * a + has[1][pattern] * b) +
                        (has[2][pattern] * c + has[3][pattern] * d) - least;
            int32_t number = rounded(sum * per_step);
            float difference = sum - (float)number * step;
            off[pattern] += difference * difference;
            tables[table * PATTERNS + pattern] = (uint8_t)(number & 127);
        }
    }
    *squares = (double)sum_of_lanes(off) / PATTERNS;
    return step;
}

/// Splits the components into halves of 14 bits, whose sums of products no instruction overflows.
/// Returns the unit, in `sum` the sum of the whole numbers, and in `squares` that of the squares of
/// what rounding did.
INLINE float fill_halves(const float *residual, size_t dimensions, int8_t *high, int8_t *low,
                         int64_t *sum, double *squares) {
    float greatest = 0;
    for (size_t d = 0; d < dimensions; d++) {
        greatest = larger(greatest, magnitude(residual[d]));
    }
    const bool is_nothing = !(greatest > 0x1p-100f);
    const float unit = is_nothing ? 1 : greatest / 8191;
    const float per_unit = is_nothing ? 0 : 8191 / greatest;
    float off[CODE_LANES] = {0};
    int32_t total = 0;
    for (size_t d = 0; d < dimensions; d += CODE_LANES) {
        for (size_t lane = 0; lane < CODE_LANES; lane++) {
            int32_t number = rounded(residual[d + lane] * per_unit) & 0xffff;
            number = (number ^ 0x8000) - 0x8000;
            float difference = residual[d + lane] - (float)number * unit;
            off[lane] += difference * difference;
            int32_t upper = (number + 64) >> 7;
            high[d + lane] = (int8_t)upper;
            low[d + lane] = (int8_t)(number - upper * 128);
            total += number;
        }
    }
    *sum = total;
    *squares = (double)sum_of_lanes(off);
    return unit;
}

static void prepare(const cordwood_rabitq *quantizer, const float *center, const float *rotated,
                    uint8_t *bytes, cordwood_rabitq_query *query) {
    const size_t dimensions = quantizer->dimensions;
    const query_room room = room_of(quantizer, bytes);
    const bool l2 = quantizer->metric == CORDWOOD_L2;
    const float times = l2 ? 2 : 1;
    float magnitudes[CODE_LANES] = {0};
    for (size_t d = 0; d < dimensions; d += CODE_LANES) {
        for (size_t lane = 0; lane < CODE_LANES; lane++) {
            float residual = rotated[d + lane] - center[d + lane];
            room.residual[d + lane] = residual;
            magnitudes[lane] += magnitude(residual);
        }
    }
    const double norm = product_of(room.residual, room.residual, dimensions);
    double base = norm, parts = norm;
    if (!l2) {
        base = (double)quantizer->base - product_of(center, rotated, dimensions);
        parts = fabs((double)quantizer->base) + sqrt(product_of(center, center, dimensions)) *
                                                    sqrt(product_of(rotated, rotated, dimensions));
    }
    query->base = (float)base;
    query->base_bound = (float)(base - (double)ROUNDING * parts);

    double off;
    const float step = fill_tables(room.residual, sign_bytes(quantizer), room.tables, &off);
    const float magnitude_sum = sum_of_lanes(magnitudes);
    query->tables = room.tables;
    query->signs = room.signs;
    query->scale = times * step;
    // The sum over positive signs, without the least that it can be, is that of the tables: half
    // the magnitudes more than the product with signs of one half.
    query->shift = -0.5f * times * magnitude_sum;
    query->shift_bound =
        query->shift + times * (quantizer->epsilon * (float)sqrt(off) + ROUNDING * magnitude_sum);
    query->error = times * quantizer->epsilon * (float)sqrt(norm);
    query->high = room.high;
    query->low = room.low;
    if (quantizer->bits > 1) {
        int64_t sum;
        float unit = fill_halves(room.residual, dimensions, room.high, room.low, &sum, &off);
        query->unit = 0.5f * times * unit;
        query->sum_shift = sum * (int64_t)((1u << quantizer->bits) - 1);
        query->full_error =
            times * quantizer->epsilon * larger((float)sqrt(norm), (float)(sqrt(off) / full_slack));
    }
}
