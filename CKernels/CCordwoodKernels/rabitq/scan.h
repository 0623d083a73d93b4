/// The scan of one list. The file that includes this has the instruction set's
///
///     block_sums(tables, signs, bytes, sums)  the sum over the tables for each row of a block
///     not_beyond(bounds, threshold)           a bit for each of a block's bounds that is not
///     greater half_sums, no_sums(), totals(sums, dots)
///                                             sums of products with both halves of a query
///     add_fields(fields, width, count, high, low, sums)
///                                             moves the sums up by the width, and adds a field's
///                                             products
#pragma once

#include "query.h"

enum { EXACT_AT_ONCE = 4, CACHE_LINE = 64, PREFETCHED_LINES = 8 };

/// A distance by a row's term and the product, as it is or for the bound.
INLINE float bound_of(const cordwood_rabitq_query *query, float term, float product, float error) {
    return ((query->base_bound + (term - ROUNDING * magnitude(term))) - product) - error;
}

INLINE void block_bounds(const uint8_t *block, const cordwood_rabitq_query *query,
                         const int32_t sums[BLOCK], float bounds[BLOCK]) {
    for (size_t i = 0; i < BLOCK; i++) {
        float product = query->scale * (float)sums[i] + query->shift_bound;
        bounds[i] =
            bound_of(query, float_at(block, TERMS + i), float_at(block, SCALES + i) * product,
                     float_at(block, ERRORS + i) * query->error);
    }
}

INLINE float clamped(const cordwood_rabitq *quantizer, float distance) {
    return quantizer->metric == CORDWOOD_L2 && distance < 0 ? 0 : distance;
}

/// By the signs of a row.
INLINE float sign_distance(const cordwood_rabitq *quantizer, const uint8_t *block, size_t lane,
                           const cordwood_rabitq_query *query, int32_t sum) {
    float product = query->scale * (float)sum + query->shift;
    return clamped(quantizer, (query->base + float_at(block, TERMS + lane)) -
                                  float_at(block, SCALES + lane) * product);
}

/// The sums of a row's codes' products with both halves of the query, which are never put together:
/// field by field, each time with what was there before moved up. The signs are read from the
/// block, which is in the nearest cache, since it was just scanned.
INLINE void code_dots(const cordwood_rabitq *quantizer, const uint8_t *block, size_t lane,
                      const uint8_t *extra, const cordwood_rabitq_query *query, int32_t dots[2]) {
    const size_t bytes = sign_bytes(quantizer);
    const uint8_t *from = block + FACTOR_BYTES + lane;
    for (size_t i = 0; i < bytes; i++) {
        query->signs[i] = from[i * BLOCK];
    }
    half_sums sums = no_sums();
    add_fields(query->signs, 1, bytes, query->high, query->low, &sums);
    const uint8_t *fields = extra + 2 * sizeof(float);
    for (uint32_t left = quantizer->bits - 1; left > 0;) {
        const uint32_t width = field_width(left);
        left -= width;
        if (width == 4) {
            add_fields(fields, 4, 4 * bytes, query->high, query->low, &sums);
        } else if (width == 2) {
            add_fields(fields, 2, 2 * bytes, query->high, query->low, &sums);
        } else {
            add_fields(fields, 1, bytes, query->high, query->low, &sums);
        }
        fields += width * bytes;
    }
    totals(&sums, dots);
}

/// By all bits of a row.
INLINE cordwood_rabitq_estimate full_estimate(const cordwood_rabitq *quantizer,
                                              const uint8_t *block, size_t lane,
                                              const uint8_t *extra,
                                              const cordwood_rabitq_query *query) {
    int32_t dots[2];
    code_dots(quantizer, block, lane, extra, query, dots);
    int64_t sum = (int64_t)dots[0] * 128 + dots[1];
    float product = float_at(extra, 0) * (query->unit * (float)(2 * sum - query->sum_shift));
    float term = float_at(block, TERMS + lane);
    return (cordwood_rabitq_estimate){
        clamped(quantizer, (query->base + term) - product),
        bound_of(query, term, product, float_at(extra, 1) * query->full_error)};
}

static void estimates(const cordwood_rabitq *quantizer, const cordwood_rabitq_list *list,
                      const cordwood_rabitq_query *query, uint32_t bits,
                      cordwood_rabitq_estimate *out) {
    for (size_t row = 0; row < list->count; row++) {
        const uint8_t *block = list->blocks + row / BLOCK * block_bytes(quantizer);
        if (bits > 1) {
            out[row] = full_estimate(quantizer, block, row % BLOCK,
                                     list->extra + row * row_bytes(quantizer), query);
            continue;
        }
        int32_t sums[BLOCK];
        float bounds[BLOCK];
        block_sums(query->tables, block + FACTOR_BYTES, sign_bytes(quantizer), sums);
        block_bounds(block, query, sums, bounds);
        for (size_t lane = row % BLOCK;; lane++, row++) {
            out[row].distance = sign_distance(quantizer, block, lane, query, sums[lane]);
            out[row].bound = bounds[lane];
            if (lane + 1 == BLOCK || row + 1 == list->count) {
                break;
            }
        }
    }
}

/// The rows of the block from `first` on that there are and that are allowed.
INLINE uint32_t present_rows(const cordwood_rabitq_list *list, size_t first,
                             const uint64_t *allowed) {
    const size_t left = list->count - first;
    const uint32_t present = left < BLOCK ? (1u << left) - 1 : 0xffffffff;
    if (!allowed) {
        return present;
    }
    const size_t place = list->first_place + first, shift = place % 64;
    uint64_t bits = allowed[place / 64] >> shift;
    // The next word is there only if one of its bits is asked for.
    if (shift + (left < BLOCK ? left : BLOCK) > 64) {
        bits |= allowed[place / 64 + 1] << (64 - shift);
    }
    return present & (uint32_t)bits;
}

/// Rows of a block that are still to be compared exactly.
typedef struct {
    uint32_t count;
    float bounds[BLOCK];
    uint32_t rows[BLOCK];
} waiting_rows;

INLINE void offer_exactly(const cordwood_rabitq_list *list, const waiting_rows *waiting,
                          cordwood_rabitq_query *query, const cordwood_f32_query *floats,
                          cordwood_topk *topk) {
    for (uint32_t next = 0; next < waiting->count;) {
        const float *rows[EXACT_AT_ONCE];
        uint32_t numbers[EXACT_AT_ONCE], count = 0;
        for (; next < waiting->count && count < EXACT_AT_ONCE; next++) {
            // The rows before it may have brought the threshold below its bound.
            if (!(waiting->bounds[next] > topk->threshold)) {
                numbers[count] = waiting->rows[next];
                rows[count++] = list->exact + waiting->rows[next] * list->exact_stride;
            }
        }
        float distances[EXACT_AT_ONCE];
        cordwood_f32_distances(floats, rows, count, distances);
        query->exact_count += count;
        for (uint32_t i = 0; i < count; i++) {
            if (!(distances[i] > topk->threshold)) {
                cordwood_topk_push(topk, distances[i], list->ids[numbers[i]]);
            }
        }
    }
}

/// Looks closer at the rows of `mask` of a block. Out of line, so that the loop around it keeps its
/// registers.
static __attribute__((noinline)) void
look_closer(const cordwood_rabitq *quantizer, const cordwood_rabitq_list *list, size_t first,
            uint32_t mask, const int32_t *sums, const float *bounds, cordwood_rabitq_query *query,
            const cordwood_f32_query *floats, cordwood_topk *topk) {
    const uint8_t *block = list->blocks + first / BLOCK * block_bytes(quantizer);
    waiting_rows waiting = {.count = 0};
    for (; mask; mask &= mask - 1) {
        const uint32_t lane = (uint32_t)__builtin_ctz(mask), row = (uint32_t)first + lane;
        cordwood_rabitq_estimate estimate = {0, bounds[lane]};
        if (quantizer->bits > 1) {
            estimate = full_estimate(quantizer, block, lane,
                                     list->extra + row * row_bytes(quantizer), query);
            query->refined_count++;
        } else if (!list->exact) {
            estimate.distance = sign_distance(quantizer, block, lane, query, sums[lane]);
        }
        if (!list->exact) {
            if (!(estimate.distance > topk->threshold)) {
                cordwood_topk_push(topk, estimate.distance, list->ids[row]);
            }
        } else if (!(estimate.bound > topk->threshold)) {
            const uint8_t *exact = (const uint8_t *)(list->exact + row * list->exact_stride);
            const size_t bytes = floats->dimensions * sizeof(float);
            for (size_t i = 0; i < bytes && i < PREFETCHED_LINES * CACHE_LINE; i += CACHE_LINE) {
                __builtin_prefetch(exact + i);
            }
            waiting.bounds[waiting.count] = estimate.bound;
            waiting.rows[waiting.count++] = row;
        }
    }
    offer_exactly(list, &waiting, query, floats, topk);
}

static void scan(const cordwood_rabitq *quantizer, const cordwood_rabitq_list *list,
                 cordwood_rabitq_query *query, const cordwood_f32_query *floats,
                 const uint64_t *allowed, cordwood_topk *topk) {
    const size_t stride = block_bytes(quantizer), bytes = sign_bytes(quantizer);
    const uint8_t *block = list->blocks;
    for (size_t first = 0; first < list->count; first += BLOCK, block += stride) {
        const uint32_t present = present_rows(list, first, allowed);
        if (!present) {
            continue;
        }
        int32_t sums[BLOCK];
        float bounds[BLOCK];
        block_sums(query->tables, block + FACTOR_BYTES, bytes, sums);
        block_bounds(block, query, sums, bounds);
        const uint32_t mask = not_beyond(bounds, topk->threshold) & present;
        if (__builtin_expect(mask != 0, 0)) {
            look_closer(quantizer, list, first, mask, sums, bounds, query, floats, topk);
        }
    }
}
