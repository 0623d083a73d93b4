// The loops that every instruction set shares, compiled once in each of its files. Such a file
// defines, before it includes this one:
//
//     four_floats                          a register with one float for each of four rows
//     four_sums(l2, query, rows, d)        the four squared distances or inner products
//     four_minus(base, sums)               base - sum in each lane
//     four_within(distances, limit)        a bit for each lane that is not greater than limit
//     four_store(distances, out)           the four floats
//     sixteen_within(products, terms, factor, limit)
//                                          a bit for each of 16 bounds not greater than limit
//     KERNELS, ISA_NAME                    the names of its table and of itself
//     SUPPORTED                            the function that says whether the processor has it
//     BATCH, BATCH_SCRATCH                 its fused product, or null
//
// Rows are always summed four at a time, the last ones beside copies of themselves, so that a
// distance has the same bits whoever asks for it, and zeros behind both query and row change none.
// A file that sums sixteen rows at a time in a scan, with the same bits, includes the header that
// defines HAS_SIXTEEN_SUMS before.
//
// "Not greater than" instead of "less or equal" lets a distance that is not a number through to the
// heap, which counts it as infinite, so that it still takes one of the k places.

#include "ahead.h"
#include "cordwood_kernels.h"

#include <string.h>

enum {
    /// Rows that lie anywhere are asked for so many ahead, each up to so many floats.
    ROWS_AHEAD = 16,
    MOST_FLOATS_AHEAD = 128,
};

#define INLINE static inline __attribute__((always_inline))

INLINE four_floats four_distances(const cordwood_f32_query *query, const float *const rows[4],
                                  bool l2) {
    four_floats sums = four_sums(l2, query->query, rows, query->dimensions);
    return l2 ? sums : four_minus(query->base, sums);
}

INLINE four_floats four_distances_by_metric(const cordwood_f32_query *query,
                                            const float *const rows[4]) {
    return query->metric == CORDWOOD_L2 ? four_distances(query, rows, true)
                                        : four_distances(query, rows, false);
}

static void distances(const cordwood_f32_query *query, const float *const *rows, size_t count,
                      float *out) {
    for (size_t row = 0; row < count; row += 4) {
        for (size_t next = row + ROWS_AHEAD; next < row + ROWS_AHEAD + 4 && next < count; next++) {
            for (size_t i = 0; i < query->dimensions && i < MOST_FLOATS_AHEAD;
                 i += CACHE_LINE_FLOATS) {
                __builtin_prefetch(rows[next] + i);
            }
        }
        const float *four[4];
        size_t present = count - row < 4 ? count - row : 4;
        for (size_t lane = 0; lane < 4; lane++) {
            four[lane] = rows[row + (lane < present ? lane : 0)];
        }
        float values[4];
        four_store(four_distances_by_metric(query, four), values);
        memcpy(out + row, values, present * sizeof(float));
    }
}

/// Offers the lanes of `mask`. Out of line, so that the loop around it keeps its registers.
static __attribute__((noinline)) void offer(const float *distances, unsigned mask,
                                            const uint64_t *ids, cordwood_topk *topk) {
    for (; mask; mask &= mask - 1) {
        unsigned lane = (unsigned)__builtin_ctz(mask);
        cordwood_topk_push(topk, distances[lane], ids[lane]);
    }
}

static __attribute__((noinline)) void offer_four(four_floats distances, unsigned mask,
                                                 const uint64_t *ids, cordwood_topk *topk) {
    float values[4];
    four_store(distances, values);
    offer(values, mask, ids, topk);
}

#ifdef HAS_SIXTEEN_SUMS
/// Offers the first rows, sixteen at a time, and returns how many they are.
INLINE size_t scan_sixteens(const cordwood_f32_query *query, const cordwood_f32_rows *rows,
                            cordwood_topk *topk, bool l2, bool is_short, size_t registers) {
    const scan_query made = make_scan_query(is_short, registers, query->query, query->dimensions);
    const float base = query->base, *first = rows->rows;
    const size_t stride = rows->stride, count = rows->count / 16 * 16;
    float threshold = topk->threshold;
    for (size_t row = 0; row < count; row += 16, first += 16 * stride) {
        sixteen_floats distances = sixteen_sums(l2, is_short, &made, first, stride);
        distances = l2 ? distances : sixteen_minus(base, distances);
        unsigned mask = sixteen_not_beyond(distances, threshold);
        if (__builtin_expect(mask != 0, 0)) {
            float values[16];
            sixteen_store(distances, values);
            offer(values, mask, rows->ids + row, topk);
            threshold = topk->threshold;
        }
    }
    return count;
}
#endif

INLINE void scan_by(const cordwood_f32_query *query, const cordwood_f32_rows *rows,
                    cordwood_topk *topk, bool l2) {
    size_t row = 0;
#ifdef HAS_SIXTEEN_SUMS
    switch (query->dimensions < 64 ? query->dimensions / 16 : 4 + query->dimensions % 64 / 16) {
    case 0:
        row = scan_sixteens(query, rows, topk, l2, true, 0);
        break;
    case 1:
        row = scan_sixteens(query, rows, topk, l2, true, 1);
        break;
    case 2:
        row = scan_sixteens(query, rows, topk, l2, true, 2);
        break;
    case 3:
        row = scan_sixteens(query, rows, topk, l2, true, 3);
        break;
    case 4:
        row = scan_sixteens(query, rows, topk, l2, false, 0);
        break;
    case 5:
        row = scan_sixteens(query, rows, topk, l2, false, 1);
        break;
    case 6:
        row = scan_sixteens(query, rows, topk, l2, false, 2);
        break;
    case 7:
        row = scan_sixteens(query, rows, topk, l2, false, 3);
        break;
    }
#endif
    float threshold = topk->threshold;
    for (; row + 4 <= rows->count; row += 4) {
        const float *first = rows->rows + row * rows->stride;
        for (size_t i = 0; i < 4 * rows->stride; i += CACHE_LINE_FLOATS) {
            read_ahead(first + i);
        }
        const float *four[4] = {first, first + rows->stride, first + 2 * rows->stride,
                                first + 3 * rows->stride};
        four_floats distances = four_distances(query, four, l2);
        unsigned mask = four_within(distances, threshold);
        if (__builtin_expect(mask != 0, 0)) {
            offer_four(distances, mask, rows->ids + row, topk);
            threshold = topk->threshold;
        }
    }
    if (row < rows->count) {
        size_t present = rows->count - row;
        const float *four[4];
        for (size_t lane = 0; lane < 4; lane++) {
            four[lane] = rows->rows + (row + (lane < present ? lane : 0)) * rows->stride;
        }
        four_floats distances = four_distances(query, four, l2);
        offer_four(distances, (1u << present) - 1, rows->ids + row, topk);
    }
}

static void scan(const cordwood_f32_query *query, const cordwood_f32_rows *rows,
                 cordwood_topk *topk) {
    if (query->metric == CORDWOOD_L2) {
        scan_by(query, rows, topk, true);
    } else {
        scan_by(query, rows, topk, false);
    }
}

/// Offers the rows first + (bits of mask) at their exact distances.
static __attribute__((noinline)) void offer_exactly(const cordwood_f32_query *query,
                                                    const cordwood_f32_rows *rows, size_t first,
                                                    unsigned mask, cordwood_topk *topk) {
    while (mask) {
        const float *four[4];
        uint64_t ids[4];
        unsigned present = 0;
        for (; mask && present < 4; mask &= mask - 1) {
            size_t row = first + (unsigned)__builtin_ctz(mask);
            four[present] = rows->rows + row * rows->stride;
            ids[present++] = rows->ids[row];
        }
        for (unsigned lane = present; lane < 4; lane++) {
            four[lane] = four[0];
        }
        four_floats distances = four_distances_by_metric(query, four);
        offer_four(distances, four_within(distances, topk->threshold) & ((1u << present) - 1), ids,
                   topk);
    }
}

static void tile(const cordwood_f32_tile_input *input, cordwood_topk *topks) {
    static const float zeros[16];
    const cordwood_f32_rows *rows = &input->rows;
    for (size_t i = 0; i < input->query_count; i++) {
        cordwood_f32_query query = {input->queries + i * input->query_stride, input->dimensions,
                                    input->metric, input->base};
        const float *products = input->products + i * input->product_stride;
        cordwood_topk *topk = &topks[i];
        float limit = topk->threshold - input->query_terms[i];
        size_t j = 0;
        for (; j + 16 <= rows->count; j += 16) {
            const float *terms = input->row_terms ? input->row_terms + j : zeros;
            unsigned mask = sixteen_within(products + j, terms, input->factor, limit);
            if (__builtin_expect(mask != 0, 0)) {
                offer_exactly(&query, rows, j, mask, topk);
                limit = topk->threshold - input->query_terms[i];
            }
        }
        unsigned mask = 0;
        for (size_t lane = 0; j + lane < rows->count; lane++) {
            float term = input->row_terms ? input->row_terms[j + lane] : 0;
            mask |= (unsigned)!(term + input->factor * products[j + lane] > limit) << lane;
        }
        offer_exactly(&query, rows, j, mask, topk);
    }
}

const cordwood_f32_kernels KERNELS = {ISA_NAME, SUPPORTED, distances,    scan,
                                      tile,     BATCH,     BATCH_SCRATCH};
