// Codes of flat indexes in plain C: what the other instruction sets are held against.

#include "flat.h"

#include <string.h>

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

static bool supported(void) { return true; }

typedef struct {
    int32_t rows[CORDWOOD_FLAT_GROUP];
} group_sums;

typedef struct {
    const uint8_t *bytes;
} step_codes;

typedef struct {
    const int8_t *components;
} step_numbers;

INLINE group_sums first_sums(bool is_half, const cordwood_code_query *query) {
    (void)is_half;
    group_sums sums;
    for (int row = 0; row < CORDWOOD_FLAT_GROUP; row++) {
        sums.rows[row] = -query->shift;
    }
    return sums;
}

INLINE step_codes load_codes(bool is_half, const uint8_t *step) {
    (void)is_half;
    return (step_codes){step};
}

INLINE step_numbers load_numbers(bool is_half, const int8_t *components) {
    (void)is_half;
    return (step_numbers){components};
}

INLINE group_sums add_products(bool is_half, group_sums sums, step_codes codes,
                               step_numbers numbers) {
    for (int i = 0; i < STEP_BYTES; i++) {
        int32_t *sum = &sums.rows[i / STEP_CODES];
        const int8_t *own = numbers.components + i % STEP_CODES;
        if (is_half) {
            *sum += (codes.bytes[i] & 15) * own[0] + (codes.bytes[i] >> 4) * own[STEP_CODES];
        } else {
            *sum += codes.bytes[i] * own[0];
        }
    }
    return sums;
}

INLINE uint32_t near_rows(bool l2, const cordwood_flat_probe *probe, group_sums sums,
                          const float *terms, const uint8_t *errors, float *distances) {
    uint32_t near = 0;
    for (int row = 0; row < CORDWOOD_FLAT_GROUP; row++) {
        float base = l2 ? probe->query->base + terms[row] : probe->query->base;
        float product = (float)sums.rows[row] * probe->query->scale;
        float distance = base - product, error = errors[row], square = error * probe->square;
        float more = l2 ? probe->linear + square : probe->linear;
        float added = error * more, limit = probe->limit + added;
        distances[row] = distance;
        near |= (uint32_t) !(distance > limit) << row;
    }
    return near;
}

#define KERNELS cordwood_flat_scalar
#define SUPPORTED supported
#include "loops.h"
