// Halves, bytes and bits in plain C. Partial sums break the chain of dependent additions, and let a
// compiler that can use the baseline's registers.

#include "halves.h"

#include <stdbool.h>
#include <stddef.h>

enum { LANES = 8 };

static inline float float_of_half(bool is_bf16, uint16_t half) {
    return is_bf16 ? float_of_bf16(half) : float_of_f16(half);
}

static inline void four_half_sums(bool l2, bool is_bf16, const float *query,
                                  const void *const rows[4], size_t dimensions, float sums[4]) {
    for (int k = 0; k < 4; k++) {
        const uint16_t *row = rows[k];
        float partial[LANES] = {0};
        for (size_t i = 0; i < dimensions; i++) {
            float a = query[i], b = float_of_half(is_bf16, row[i]);
            partial[i % LANES] += l2 ? (a - b) * (a - b) : a * b;
        }
        sums[k] = ((partial[0] + partial[4]) + (partial[2] + partial[6])) +
                  ((partial[1] + partial[5]) + (partial[3] + partial[7]));
    }
}

static inline void four_byte_sums(bool l2, bool is_signed, const uint8_t *query,
                                  const void *const rows[4], size_t dimensions, uint32_t sums[4]) {
    for (int k = 0; k < 4; k++) {
        const uint8_t *row = rows[k];
        uint32_t sum = 0;
        for (size_t i = 0; i < dimensions; i++) {
            int32_t a = is_signed ? (int8_t)query[i] : query[i];
            int32_t b = is_signed ? (int8_t)row[i] : row[i];
            sum += (uint32_t)(l2 ? (a - b) * (a - b) : a * b);
        }
        sums[k] = sum;
    }
}

static inline uint32_t missing_term(bool is_signed, const uint8_t *query, size_t dimensions) {
    (void)is_signed, (void)query, (void)dimensions;
    return 0;
}

static inline void four_bit_sums(bool l2, const uint64_t *query, const void *const rows[4],
                                 size_t words, uint32_t sums[4]) {
    for (int k = 0; k < 4; k++) {
        const uint8_t *row = rows[k], *own = (const uint8_t *)query;
        uint32_t sum = 0;
        for (size_t i = 0; i < words; i++) {
            uint64_t a, b;
            memcpy(&a, own + i * sizeof a, sizeof a);
            memcpy(&b, row + i * sizeof b, sizeof b);
            sum += (uint32_t)__builtin_popcountll(l2 ? a ^ b : a & b);
        }
        sums[k] = sum;
    }
}

static bool supported(void) { return true; }

#define KERNELS cordwood_element_scalar
#define SUPPORTED supported
#include "loops.h"
