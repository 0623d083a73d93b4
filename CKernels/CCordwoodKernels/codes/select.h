/// The scan over rows of codes one behind the other, compiled once for each instruction set: the
/// file that includes this has included `rows.h` of graphs.
#pragma once

enum {
    /// What is asked for ahead in a scan: the processor's own fetching ahead stops at each page,
    /// and
    /// is not set off by loads that are masked.
    CODE_BYTES_AHEAD = 8192,
    CODE_LINE = 64,
};

INLINE uint32_t select_as(bool l2, bool is_half, const cordwood_code_query *query,
                          const uint8_t *rows, size_t stride, uint32_t count, size_t bytes,
                          float limit, uint32_t *places, float *distances) {
    const cordwood_code_query *queries[4] = {query, query, query, query};
    uint32_t selected = 0;
    for (uint32_t row = 0; row < count; row += 4) {
        const uint8_t *four[4];
        const uint32_t present = count - row < 4 ? count - row : 4;
        for (uint32_t k = 0; k < 4; k++) {
            four[k] = rows + (row + (k < present ? k : 0)) * stride;
        }
        for (size_t i = 0; i < 4 * stride; i += CODE_LINE) {
            __builtin_prefetch((const void *)((uintptr_t)four[0] + CODE_BYTES_AHEAD + i));
        }
        float values[4];
        four_code_distances(l2, is_half, queries, four, bytes, values);
        unsigned mask = 0;
        for (unsigned k = 0; k < 4; k++) {
            mask |= (unsigned)!(values[k] > limit) << k;
        }
        mask &= (1u << present) - 1;
        for (; __builtin_expect(mask != 0, 0); mask &= mask - 1) {
            unsigned k = (unsigned)__builtin_ctz(mask);
            places[selected] = row + k;
            distances[selected++] = values[k];
        }
    }
    return selected;
}

static uint32_t select_codes(const cordwood_quantizer *quantizer, const cordwood_code_query *query,
                             const uint8_t *rows, uint32_t count, float limit, uint32_t *places,
                             float *distances) {
    const size_t stride = code_stride(quantizer), bytes = code_bytes(quantizer);
    const bool l2 = quantizer->metric == CORDWOOD_L2, is_half = quantizer->bits == 4;
#define SELECT(l2, is_half)                                                                        \
    select_as(l2, is_half, query, rows, stride, count, bytes, limit, places, distances)
    if (l2) {
        return is_half ? SELECT(true, true) : SELECT(true, false);
    }
    return is_half ? SELECT(false, true) : SELECT(false, false);
#undef SELECT
}
