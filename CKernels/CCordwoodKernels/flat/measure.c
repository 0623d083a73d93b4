// What is done once to a block of rows, when it is stored.

#include "../codes/quantizer.h"
#include "../include/cordwood_flat.h"

#include <math.h>
#include <string.h>

/// The least float that is not below a number.
static float rounded_up(double number) { return nextafterf((float)number, INFINITY); }

void cordwood_flat_measure(const cordwood_quantizer *quantizer, const float *rows, size_t stride,
                           size_t count, const uint8_t *codes, cordwood_flat_bounds *bounds) {
    const size_t bytes = code_bytes(quantizer);
    const int32_t half = 1 << (quantizer->bits - 1);
    double greatest_error = 0, greatest_code = 0, greatest_length = 0;
    float greatest_term = 0;
    for (size_t row = 0; row < count; row++, codes += code_stride(quantizer)) {
        double error = 0, length = 0;
        int64_t squares = 0;
        for (size_t d = 0; d < quantizer->dimensions; d++) {
            int32_t code = codes[d % bytes];
            if (quantizer->bits == 4) {
                code = d < bytes ? code & 15 : code >> 4;
            }
            code -= half;
            const double value = rows[row * stride + d];
            const double off = value - (quantizer->centers[d] + (double)quantizer->steps[d] * code);
            error += off * off;
            length += value * value;
            squares += code * code;
        }
        greatest_error = fmax(greatest_error, error);
        greatest_length = fmax(greatest_length, length);
        greatest_code = fmax(greatest_code, (double)squares);
        if (quantizer->metric == CORDWOOD_L2) {
            float term;
            memcpy(&term, codes + bytes, sizeof term);
            greatest_term = larger(greatest_term, term);
        }
    }
    *bounds =
        (cordwood_flat_bounds){rounded_up(sqrt(greatest_error)), rounded_up(sqrt(greatest_code)),
                               greatest_term, rounded_up(sqrt(greatest_length))};
}
