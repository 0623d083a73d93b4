/// The tables of the instruction sets, one to a file, and the layout of codes.
#pragma once

#include "../codes/quantizer.h"
#include "../include/cordwood_flat.h"

enum {
    /// Bytes of a step: of each of a group's rows the codes of a few components.
    STEP_BYTES = 64,
    STEP_CODES = STEP_BYTES / CORDWOOD_FLAT_GROUP,
    TILE_ROWS = CORDWOOD_FLAT_TILE_GROUPS * CORDWOOD_FLAT_GROUP,
};

/// Components of which a step has the codes.
INLINE size_t step_components(const cordwood_quantizer *quantizer) {
    return quantizer->bits == 4 ? 2 * STEP_CODES : STEP_CODES;
}

/// Steps of a group.
INLINE size_t group_steps(const cordwood_quantizer *quantizer) {
    const size_t components = step_components(quantizer);
    return (quantizer->dimensions + components - 1) / components;
}

/// Groups of a tile, from whose first row on there are `left` rows.
INLINE size_t tile_width(size_t left) {
    return left < TILE_ROWS ? (left + CORDWOOD_FLAT_GROUP - 1) / CORDWOOD_FLAT_GROUP
                            : (size_t)CORDWOOD_FLAT_TILE_GROUPS;
}

extern const cordwood_flat_kernels cordwood_flat_scalar;
#if defined(__x86_64__)
extern const cordwood_flat_kernels cordwood_flat_avx2;
extern const cordwood_flat_kernels cordwood_flat_avx512;
#elif defined(__aarch64__)
extern const cordwood_flat_kernels cordwood_flat_neon;
extern const cordwood_flat_kernels cordwood_flat_neon_dotprod;
#endif
