// What needs no instruction set of its own.

#include "layout.h"

#include <math.h>

size_t cordwood_rotation_dimensions(size_t dimensions) { return rotated_dimensions(dimensions); }

/// SplitMix64, of which the top bit is used.
static uint64_t next_random(uint64_t *state) {
    uint64_t mixed = *state += 0x9e3779b97f4a7c15;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
    return mixed ^ mixed >> 31;
}

void cordwood_rotation_make(uint64_t seed, size_t dimensions, float *factors) {
    const size_t count = rotated_dimensions(dimensions), power = transformed(count);
    const float share = (float)(1 / sqrt((double)power));
    for (size_t round = 0; round < CORDWOOD_ROTATION_ROUNDS; round++) {
        const size_t first = round % 2 ? count - power : 0;
        for (size_t i = 0; i < count; i++) {
            float factor = i >= first && i < first + power ? share : 1;
            factors[round * count + i] = next_random(&seed) >> 63 ? -factor : factor;
        }
    }
}

size_t cordwood_rabitq_block_bytes(const cordwood_rabitq *quantizer, size_t count) {
    return (count + BLOCK - 1) / BLOCK * block_bytes(quantizer);
}

size_t cordwood_rabitq_row_bytes(const cordwood_rabitq *quantizer) { return row_bytes(quantizer); }

size_t cordwood_rabitq_query_bytes(const cordwood_rabitq *quantizer) {
    return query_room_bytes(quantizer);
}

bool cordwood_rabitq_is_sound(const cordwood_rabitq *quantizer, const uint8_t *blocks,
                              const uint8_t *extra, size_t count) {
    const size_t stride = block_bytes(quantizer);
    for (size_t first = 0; first < count; first += BLOCK, blocks += stride) {
        for (size_t i = 0; i < 3 * BLOCK; i++) {
            if (!isfinite(float_at(blocks, i))) {
                return false;
            }
        }
    }
    for (size_t row = 0; row < count && quantizer->bits > 1; row++) {
        const uint8_t *factors = extra + row * row_bytes(quantizer);
        if (!isfinite(float_at(factors, 0)) || !isfinite(float_at(factors, 1))) {
            return false;
        }
    }
    return true;
}
