// The loops that every instruction set shares, compiled once in each of its files. No two roundings
// are made one, and every sum has the same order everywhere, so that all give the same bits. Such a
// file defines, before it includes this one:
//
//     four_bit_block(query, block, terms, shift, limit, distances)
//     eight_bit_block(query, block, terms, shift, limit, distances)
//         write the distances of a block's 32 rows and return a bit for each that is not greater
//         than the limit; `terms` is null where there are none
//     KERNELS                              the name of its table
//     SUPPORTED                            the function that says whether the processor has it

#include "../topk/shortlist.h"
#include "pq.h"

#include <math.h>

enum { LANES = 16, MOST_SUM = 65535, BLOCKS_AHEAD = 3, CACHE_LINE = 64 };

// MARK: Encoding

/// The nearest centroid of a group, the first of equals.
INLINE uint32_t nearest_of(const float *centroids, size_t count, const float *values,
                           size_t width) {
    float least[LANES];
    uint32_t numbers[LANES];
    for (size_t lane = 0; lane < LANES; lane++) {
        least[lane] = INFINITY;
        numbers[lane] = (uint32_t)lane;
    }
    for (size_t first = 0; first < count; first += LANES) {
        float distances[LANES] = {0};
        for (size_t t = 0; t < width; t++) {
            for (size_t lane = 0; lane < LANES; lane++) {
                float difference = centroids[t * count + first + lane] - values[t];
                float square = difference * difference;
                distances[lane] += square;
            }
        }
        for (size_t lane = 0; lane < LANES; lane++) {
            bool less = distances[lane] < least[lane];
            least[lane] = less ? distances[lane] : least[lane];
            numbers[lane] = less ? (uint32_t)(first + lane) : numbers[lane];
        }
    }
    float nearest = least[0];
    uint32_t number = numbers[0];
    for (size_t lane = 1; lane < LANES; lane++) {
        bool less = least[lane] < nearest || (least[lane] == nearest && numbers[lane] < number);
        nearest = less ? least[lane] : nearest;
        number = less ? numbers[lane] : number;
    }
    return number;
}

/// As `nearest_of` with the commonest shapes known to the compiler.
INLINE uint32_t nearest_centroid(const cordwood_pq *pq, size_t group, const float *values) {
    const float *centroids = pq->centroids + group * pq->width * pq_centroids(pq);
    if (pq->bits == 4) {
        return pq->width == 2 ? nearest_of(centroids, 16, values, 2)
                              : nearest_of(centroids, 16, values, pq->width);
    }
    return nearest_of(centroids, 256, values, pq->width);
}

static void encode(const cordwood_pq *pq, const float *rows, size_t stride, size_t count,
                   const float *center, uint8_t *blocks) {
    const size_t code_bytes = pq_code_bytes(pq), centroids = pq_centroids(pq);
    for (size_t first = 0; first < count; first += CORDWOOD_PQ_BLOCK) {
        uint8_t *block = blocks + first / CORDWOOD_PQ_BLOCK * pq_block_bytes(pq);
        memset(block, 0, pq_block_bytes(pq));
        for (size_t row = 0; row < CORDWOOD_PQ_BLOCK && first + row < count; row++) {
            const float *values = rows + (first + row) * stride;
            float norm = 0, product = 0;
            for (size_t group = 0; group < pq->groups; group++, values += pq->width) {
                uint32_t code = nearest_centroid(pq, group, values);
                if (pq->bits == 4) {
                    block[16 * group + row % 16] |= (uint8_t)(code << (row / 16 * 4));
                } else {
                    block[CORDWOOD_PQ_BLOCK * group + row] = (uint8_t)code;
                }
                for (size_t t = 0; pq->has_terms && t < pq->width; t++) {
                    size_t d = group * pq->width + t;
                    float square = values[t] * values[t];
                    float part = center[d] * pq->centroids[d * centroids + code];
                    norm += square;
                    product += part;
                }
            }
            if (pq->has_terms) {
                float term = norm + 2 * product;
                memcpy(block + code_bytes + row * sizeof term, &term, sizeof term);
            }
        }
    }
}

static void train(const cordwood_pq *pq, size_t group, const float *rows, size_t stride,
                  size_t count, double *sums, uint32_t *counts) {
    const size_t centroids = pq_centroids(pq);
    for (size_t row = 0; row < count; row++) {
        const float *values = rows + row * stride;
        uint32_t nearest = nearest_centroid(pq, group, values);
        counts[nearest]++;
        for (size_t t = 0; t < pq->width; t++) {
            sums[t * centroids + nearest] += values[t];
        }
    }
}

static void nearest_columns(const float *products, size_t rows, size_t columns, const float *terms,
                            uint32_t first, float *values, uint32_t *numbers) {
    for (size_t row = 0; row < rows; row++, products += columns) {
        float least[LANES];
        uint32_t starts[LANES];
        for (size_t lane = 0; lane < LANES; lane++) {
            least[lane] = INFINITY;
            starts[lane] = 0;
        }
        size_t j = 0;
        for (; j + LANES <= columns; j += LANES) {
            for (size_t lane = 0; lane < LANES; lane++) {
                float twice = 2 * products[j + lane];
                float value = terms[j + lane] - twice;
                bool less = value < least[lane];
                least[lane] = less ? value : least[lane];
                starts[lane] = less ? (uint32_t)j : starts[lane];
            }
        }
        for (size_t lane = 0; j + lane < columns; lane++) {
            float twice = 2 * products[j + lane];
            float value = terms[j + lane] - twice;
            if (value < least[lane]) {
                least[lane] = value;
                starts[lane] = (uint32_t)j;
            }
        }
        float nearest = least[0];
        uint32_t number = starts[0];
        for (uint32_t lane = 1; lane < LANES; lane++) {
            uint32_t other = starts[lane] + lane;
            if (least[lane] < nearest || (least[lane] == nearest && other < number)) {
                nearest = least[lane];
                number = other;
            }
        }
        if (nearest < values[row]) {
            values[row] = nearest;
            numbers[row] = first + number;
        }
    }
}

// MARK: Scanning

/// `factor` times the inner products of a group's components with its centroids.
INLINE void products_of(const float *centroids, size_t count, const float *values, size_t width,
                        float factor, float *products) {
    for (size_t first = 0; first < count; first += LANES) {
        float sums[LANES] = {0};
        for (size_t t = 0; t < width; t++) {
            float value = factor * values[t];
            for (size_t lane = 0; lane < LANES; lane++) {
                float product = value * centroids[t * count + first + lane];
                sums[lane] += product;
            }
        }
        memcpy(products + first, sums, sizeof sums);
    }
}

/// The ends of sixteen floats.
INLINE void ends_of(const float *values, float *least, float *greatest) {
    float low[LANES], high[LANES];
    memcpy(low, values, sizeof low);
    memcpy(high, values, sizeof high);
    for (size_t width = LANES / 2; width > 0; width /= 2) {
        for (size_t lane = 0; lane < width; lane++) {
            low[lane] = low[lane + width] < low[lane] ? low[lane + width] : low[lane];
            high[lane] = high[lane + width] > high[lane] ? high[lane + width] : high[lane];
        }
    }
    *least = low[0];
    *greatest = high[0];
}

/// Makes whole numbers of the tables of 4-bit codes: all groups have one scale, the finest with
/// which no entry is above 255 and no sum above 65,535.
static void quantize_tables(const cordwood_pq *pq, const float *floats, uint8_t *bytes,
                            cordwood_pq_query *query) {
    float widest = 0, whole = 0, offset = 0;
    for (size_t group = 0; group < pq->groups; group++) {
        float least, greatest;
        ends_of(floats + LANES * group, &least, &greatest);
        widest = greatest - least > widest ? greatest - least : widest;
        whole += greatest - least;
        offset += least;
    }
    // Each entry may be rounded up by half, and the sum of the ranges down.
    float of_sums = whole / ((float)(MOST_SUM - pq->groups) * 0.999f);
    float scale = widest / 255 > of_sums ? widest / 255 : of_sums;
    // Where all entries of each group are alike, whatever they are, or nothing can be told.
    bool is_nothing = !(scale > 0x1p-120f) || !(scale < INFINITY);
    float per_scale = is_nothing ? 0 : 1 / scale;
    for (size_t group = 0; group < pq->groups; group++) {
        const float *values = floats + LANES * group;
        float least, greatest;
        ends_of(values, &least, &greatest);
        for (size_t lane = 0; lane < LANES; lane++) {
            float steps = (values[lane] - least) * per_scale;
            // Comparing before rounding takes what is not a number for nothing.
            steps = steps > 0 ? steps : 0;
            steps = steps < 255 ? steps : 255;
            bytes[LANES * group + lane] = (uint8_t)(steps + 0.5f);
        }
    }
    memset(bytes + LANES * pq->groups, 0, LANES * (pq_padded_groups(pq) - pq->groups));
    query->bytes = bytes;
    query->scale = is_nothing ? 0 : scale;
    query->offset = offset;
}

static void prepare(const cordwood_pq *pq, const float *vector, float factor, float *floats,
                    uint8_t *bytes, cordwood_pq_query *query) {
    const size_t centroids = pq_centroids(pq);
    for (size_t group = 0; group < pq->groups; group++) {
        const float *values = vector + group * pq->width;
        const float *own = pq->centroids + group * pq->width * centroids;
        if (pq->bits == 4) {
            products_of(own, 16, values, pq->width, factor, floats + 16 * group);
        } else {
            products_of(own, 256, values, pq->width, factor, floats + 256 * group);
        }
    }
    *query = (cordwood_pq_query){.pq = pq, .floats = floats};
    if (pq->bits == 4) {
        quantize_tables(pq, floats, bytes, query);
    }
}

/// The bits of 32 places from `first` on, of which `count` are looked at.
INLINE uint32_t allowed_bits(const uint64_t *allowed, uint32_t first, uint32_t count) {
    uint64_t bits = allowed[first / 64] >> first % 64;
    if (first % 64 + count > 64) {
        bits |= allowed[first / 64 + 1] << (64 - first % 64);
    }
    return (uint32_t)bits;
}

INLINE void scan_as(bool has_terms, bool is_four, const cordwood_pq_query *query,
                    const cordwood_pq_rows *rows, cordwood_shortlist *list) {
    const size_t bytes = pq_block_bytes(query->pq), code_bytes = pq_code_bytes(query->pq);
    const float shift = is_four ? query->offset + rows->base : rows->base;
    const uint8_t *block = rows->blocks;
    for (uint32_t first = 0; first < rows->count; first += CORDWOOD_PQ_BLOCK, block += bytes) {
        uint32_t left = rows->count - first;
        // Blocks come from memory as fast as they are compared if they are asked for early enough,
        // which the processor itself stops doing at each page's end.
        if (left > BLOCKS_AHEAD * CORDWOOD_PQ_BLOCK) {
            for (size_t byte = 0; byte < bytes; byte += CACHE_LINE) {
                __builtin_prefetch(block + BLOCKS_AHEAD * bytes + byte);
            }
        }
        uint32_t present = left < CORDWOOD_PQ_BLOCK ? (1u << left) - 1 : 0xffffffff;
        if (rows->allowed) {
            present &= allowed_bits(rows->allowed, rows->first + first,
                                    left < CORDWOOD_PQ_BLOCK ? left : CORDWOOD_PQ_BLOCK);
            if (!present) {
                continue;
            }
        }
        float distances[CORDWOOD_PQ_BLOCK];
        const float *terms = has_terms ? (const float *)(block + code_bytes) : NULL;
        uint32_t near =
            is_four ? four_bit_block(query, block, terms, shift, list->threshold, distances)
                    : eight_bit_block(query, block, terms, shift, list->threshold, distances);
        near &= present;
        if (near) {
            shortlist_add(list, distances, near, rows->first + first);
        }
    }
}

static void scan(const cordwood_pq_query *query, const cordwood_pq_rows *rows,
                 cordwood_shortlist *list) {
    const bool has_terms = query->pq->has_terms;
    if (query->pq->bits == 4) {
        if (has_terms) {
            scan_as(true, true, query, rows, list);
        } else {
            scan_as(false, true, query, rows, list);
        }
    } else if (has_terms) {
        scan_as(true, false, query, rows, list);
    } else {
        scan_as(false, false, query, rows, list);
    }
}

const cordwood_pq_kernels KERNELS = {SUPPORTED, encode, prepare, scan, train, nearest_columns};
