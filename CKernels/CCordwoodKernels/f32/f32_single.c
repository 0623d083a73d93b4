// What is done once to a vector, when it is stored or asked for: checks, norms, scaling. Sums are
// in double precision, so that finite floats neither overflow nor underflow, with eight partial
// sums to break the chain of additions.

#include "cordwood_kernels.h"

#include <math.h>

enum { LANES = 8 };

size_t cordwood_f32_first_not_finite(const float *vector, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(vector[i])) {
            return i;
        }
    }
    return count;
}

double cordwood_f32_squared_norm(const float *vector, size_t count) {
    double partial[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        for (size_t lane = 0; lane < LANES; lane++) {
            partial[lane] += (double)vector[i + lane] * vector[i + lane];
        }
    }
    for (size_t lane = 0; i + lane < count; lane++) {
        partial[lane] += (double)vector[i + lane] * vector[i + lane];
    }
    double sum = 0;
    for (size_t lane = 0; lane < LANES; lane++) {
        sum += partial[lane];
    }
    return sum;
}

void cordwood_f32_normalize(const float *vector, size_t count, float *unit) {
    double norm = sqrt(cordwood_f32_squared_norm(vector, count));
    double scale = norm > 0 ? 1 / norm : 0;
    for (size_t i = 0; i < count; i++) {
        unit[i] = (float)(vector[i] * scale);
    }
}
