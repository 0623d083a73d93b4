// The loops over rows that every instruction set shares, compiled once in each of its files. Such a
// file defines, before it includes this one:
//
//     four_half_sums(l2, is_bf16, query, rows, d, sums)    floats over four rows
//     four_byte_sums(l2, is_signed, query, rows, d, sums)  whole numbers over four rows, of which
//                                                          inner products of i8 are signed
//     missing_term(is_signed, query, d)                    what those inner products are short of,
//                                                          whatever the row
//     four_bit_sums(l2, query, rows, words, sums)          how many bits of four rows
//     KERNELS, SUPPORTED                                   its table, and whether it can be used
//
// Rows are always summed four at a time, the last ones beside copies of themselves, so that a
// distance has the same bits whoever asks for it.

#include "elements.h"

#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum {
    CACHE_LINE = 64,
    /// A longer row is fetched by the processor itself once its beginning is read.
    PREFETCHED_LINES = 8,
    /// Rows that are asked for ahead of those that are summed.
    ROWS_AHEAD = 8,
    /// What is asked for ahead in a scan. Loads that are masked do not set off the processor's own
    /// fetching ahead: rows of 48 bytes were read at 5 GB/s without this, and at 26 with it.
    BYTES_AHEAD = 8192,
};

/// The distances of four rows. The element and the metric are known when the loop is compiled.
INLINE void four_distances(cordwood_element element, bool l2, const cordwood_element_query *query,
                           uint32_t missing, const void *const rows[4], float distances[4]) {
    const size_t dimensions = query->dimensions;
    if (element == CORDWOOD_F16 || element == CORDWOOD_BF16) {
        four_half_sums(l2, element == CORDWOOD_BF16, query->query, rows, dimensions, distances);
        for (int k = 0; k < 4 && !l2; k++) {
            distances[k] = query->base - distances[k];
        }
        return;
    }
    uint32_t sums[4];
    if (element == CORDWOOD_BITS) {
        four_bit_sums(l2, query->query, rows, (dimensions + 63) / 64, sums);
    } else {
        four_byte_sums(l2, element == CORDWOOD_I8, query->query, rows, dimensions, sums);
    }
    for (int k = 0; k < 4; k++) {
        // In double precision, so that there is one rounding, the last.
        const uint32_t sum = sums[k] + missing;
        const double whole = element == CORDWOOD_I8 && !l2 ? (double)(int32_t)sum : (double)sum;
        distances[k] = (float)(l2 ? whole : query->base - whole);
    }
}

/// What the whole inner products of one query are short of.
INLINE uint32_t missing_of(cordwood_element element, bool l2, const cordwood_element_query *query) {
    const bool is_bytes = element == CORDWOOD_I8 || element == CORDWOOD_U8;
    return is_bytes && !l2 ? missing_term(element == CORDWOOD_I8, query->query, query->dimensions)
                           : 0;
}

INLINE void prefetch_row(const void *row, size_t bytes) {
    for (size_t i = 0; i < bytes && i < PREFETCHED_LINES * CACHE_LINE; i += CACHE_LINE) {
        __builtin_prefetch((const uint8_t *)row + i);
    }
}

INLINE void distances_as(cordwood_element element, bool l2, const cordwood_element_query *query,
                         const void *const *rows, size_t count, float *out) {
    const size_t bytes = cordwood_element_row_bytes(element, query->dimensions);
    const uint32_t missing = missing_of(element, l2, query);
    for (size_t row = 0; row < count && row < ROWS_AHEAD; row++) {
        prefetch_row(rows[row], bytes);
    }
    for (size_t row = 0; row < count; row += 4) {
        const void *four[4];
        const size_t present = count - row < 4 ? count - row : 4;
        for (size_t lane = 0; lane < 4; lane++) {
            four[lane] = rows[row + (lane < present ? lane : 0)];
        }
        for (size_t next = row + ROWS_AHEAD; next < count && next < row + ROWS_AHEAD + 4; next++) {
            prefetch_row(rows[next], bytes);
        }
        float values[4];
        four_distances(element, l2, query, missing, four, values);
        memcpy(out + row, values, present * sizeof(float));
    }
}

/// Offers the lanes of `mask`. Out of line, so that the loop around it keeps its registers.
static __attribute__((noinline)) void offer(const float distances[4], unsigned mask,
                                            const uint64_t *ids, cordwood_topk *topk) {
    for (; mask; mask &= mask - 1) {
        unsigned lane = (unsigned)__builtin_ctz(mask);
        cordwood_topk_push(topk, distances[lane], ids[lane]);
    }
}

/// A lane is offered unless its distance is greater than the threshold: what is not a number gets
/// to the heap, which counts it as infinite.
INLINE void scan_as(cordwood_element element, bool l2, const cordwood_element_query *query,
                    const cordwood_element_rows *rows, cordwood_topk *topk) {
    const uint8_t *base = rows->rows;
    const uint32_t missing = missing_of(element, l2, query);
    float threshold = topk->threshold;
    for (size_t row = 0; row < rows->count; row += 4) {
        const size_t present = rows->count - row < 4 ? rows->count - row : 4;
        const void *four[4];
        for (size_t lane = 0; lane < 4; lane++) {
            four[lane] = base + (row + (lane < present ? lane : 0)) * rows->stride;
        }
        for (size_t i = 0; i < 4 * rows->stride; i += CACHE_LINE) {
            __builtin_prefetch((const void *)((uintptr_t)four[0] + BYTES_AHEAD + i));
        }
        float values[4];
        four_distances(element, l2, query, missing, four, values);
        unsigned mask = 0;
        for (unsigned lane = 0; lane < 4; lane++) {
            mask |= (unsigned)!(values[lane] > threshold) << lane;
        }
        mask &= (1u << present) - 1;
        if (__builtin_expect(mask != 0, 0)) {
            offer(values, mask, rows->ids + row, topk);
            threshold = topk->threshold;
        }
    }
}

/// Calls `loop` as compiled for the query's element and metric.
#define BY_ELEMENT(loop, query, ...)                                                               \
    switch ((query)->element) {                                                                    \
        BY_METRIC(CORDWOOD_F16, loop, query, __VA_ARGS__)                                          \
        BY_METRIC(CORDWOOD_BF16, loop, query, __VA_ARGS__)                                         \
        BY_METRIC(CORDWOOD_I8, loop, query, __VA_ARGS__)                                           \
        BY_METRIC(CORDWOOD_U8, loop, query, __VA_ARGS__)                                           \
        BY_METRIC(CORDWOOD_BITS, loop, query, __VA_ARGS__)                                         \
    case CORDWOOD_F32: /* Has loops of its own. */                                                 \
        break;                                                                                     \
    }
#define BY_METRIC(element, loop, query, ...)                                                       \
    case element:                                                                                  \
        if ((query)->metric == CORDWOOD_L2) {                                                      \
            loop(element, true, query, __VA_ARGS__);                                               \
        } else {                                                                                   \
            loop(element, false, query, __VA_ARGS__);                                              \
        }                                                                                          \
        break;

static void distances(const cordwood_element_query *query, const void *const *rows, size_t count,
                      float *out) {
    BY_ELEMENT(distances_as, query, rows, count, out)
}

static void scan(const cordwood_element_query *query, const cordwood_element_rows *rows,
                 cordwood_topk *topk) {
    BY_ELEMENT(scan_as, query, rows, topk)
}

const cordwood_element_kernels KERNELS = {SUPPORTED, distances, scan};
