// What is done once to a row, when it is stored.

#include "quantizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

size_t cordwood_code_bytes(const cordwood_quantizer *quantizer) { return code_bytes(quantizer); }

size_t cordwood_code_stride(const cordwood_quantizer *quantizer) { return code_stride(quantizer); }

size_t cordwood_code_query_bytes(const cordwood_quantizer *quantizer) {
    return query_bytes(quantizer);
}

void cordwood_column_statistics(const float *rows, size_t stride, size_t count, size_t dimensions,
                                float *least, float *greatest, float *mean, float *deviation) {
    enum { COLUMNS = 64 };
    for (size_t first = 0; first < dimensions; first += COLUMNS) {
        size_t columns = dimensions - first < COLUMNS ? dimensions - first : COLUMNS;
        double sum[COLUMNS] = {0}, squares[COLUMNS] = {0};
        for (size_t d = 0; d < columns; d++) {
            least[first + d] = INFINITY;
            greatest[first + d] = -INFINITY;
        }
        for (size_t row = 0; row < count; row++) {
            const float *values = rows + row * stride + first;
            for (size_t d = 0; d < columns; d++) {
                least[first + d] = smaller(least[first + d], values[d]);
                greatest[first + d] = larger(greatest[first + d], values[d]);
                sum[d] += values[d];
                squares[d] += (double)values[d] * values[d];
            }
        }
        for (size_t d = 0; d < columns; d++) {
            double average = sum[d] / (double)count;
            double variance = squares[d] / (double)count - average * average;
            mean[first + d] = (float)average;
            deviation[first + d] = (float)sqrt(variance > 0 ? variance : 0);
        }
    }
}

void cordwood_encode(const cordwood_quantizer *quantizer, const float *rows, size_t stride,
                     const uint32_t *order, size_t count, uint8_t *codes) {
    const size_t bytes = code_bytes(quantizer), padded = code_count(quantizer);
    const bool is_half = quantizer->bits == 4;
    const int32_t half = 1 << (quantizer->bits - 1);
    for (size_t row = 0; row < count; row++, codes += code_stride(quantizer)) {
        const float *values = rows + order[row] * stride;
        float norm[CODE_LANES] = {0};
        for (size_t d = 0; d < padded; d++) {
            uint32_t code = (uint32_t)half;
            if (d < quantizer->dimensions) {
                code = code_of(quantizer, d, values[d]);
                float difference = quantizer->steps[d] * (float)((int32_t)code - half);
                norm[d % CODE_LANES] += difference * difference;
            }
            if (!is_half || d < bytes) {
                codes[d % bytes] = (uint8_t)code;
            } else {
                codes[d % bytes] |= (uint8_t)(code << 4);
            }
        }
        if (quantizer->metric == CORDWOOD_L2) {
            float term = sum_of_lanes(norm);
            memcpy(codes + bytes, &term, sizeof term);
        }
    }
}

void cordwood_decode(const cordwood_quantizer *quantizer, const uint8_t *row, float *vector) {
    const size_t bytes = code_bytes(quantizer);
    const int32_t half = 1 << (quantizer->bits - 1);
    for (size_t d = 0; d < quantizer->dimensions; d++) {
        int32_t code = row[d % bytes];
        if (quantizer->bits == 4) {
            code = d < bytes ? code & 15 : code >> 4;
        }
        vector[d] = quantizer->centers[d] + quantizer->steps[d] * (float)(code - half);
    }
}
