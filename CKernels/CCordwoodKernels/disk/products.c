// Product codes. All loops run over the 256 centroids of a part side by side, and each sum has one
// order, so that plain C is as fast as the compiler's registers and gives the same bits everywhere.

#include "../include/cordwood_disk.h"

#include <string.h>

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

enum {
    CENTROIDS = CORDWOOD_PRODUCT_CENTROIDS,
    LANES = 16,
    NODES_AT_ONCE = 8,
    COMPONENTS_AT_ONCE = 8,
    CACHE_LINE = 64
};

static size_t first_of(const cordwood_products *products, size_t part) {
    return part * products->dimensions / products->parts;
}

/// The distances of components `first` up to `last` of a row to all centroids.
static void part_distances(const float *row, const float *centroids, size_t first, size_t last,
                           bool l2, float *distances) {
    memset(distances, 0, CENTROIDS * sizeof(float));
    for (size_t d = first; d < last; d++) {
        const float *components = centroids + d * CENTROIDS;
        const float component = row[d];
        if (l2) {
            for (int i = 0; i < CENTROIDS; i++) {
                float difference = component - components[i];
                distances[i] += difference * difference;
            }
        } else {
            for (int i = 0; i < CENTROIDS; i++) {
                distances[i] -= component * components[i];
            }
        }
    }
}

/// The place of the least, the first of equals.
static uint32_t nearest_of(const float *distances) {
    float least[LANES];
    memcpy(least, distances, sizeof least);
    for (int i = LANES; i < CENTROIDS; i += LANES) {
        for (int lane = 0; lane < LANES; lane++) {
            least[lane] = distances[i + lane] < least[lane] ? distances[i + lane] : least[lane];
        }
    }
    float nearest = least[0];
    for (int lane = 1; lane < LANES; lane++) {
        nearest = least[lane] < nearest ? least[lane] : nearest;
    }
    for (uint32_t i = 0; i < CENTROIDS; i++) {
        if (distances[i] == nearest) {
            return i;
        }
    }
    return 0;
}

size_t cordwood_products_train_scratch(size_t count) {
    // An error to each row, and the number of its centroid.
    return count + (count + sizeof(float) - 1) / sizeof(float);
}

/// Moves `width` components of every centroid to the middle of its rows, or to its replacement.
static void move_centroids(const uint8_t *nearest, const uint32_t *counts,
                           const uint32_t *replacements, size_t width, const float *rows,
                           size_t stride, size_t count, float *centroids) {
    double sums[COMPONENTS_AT_ONCE * CENTROIDS] = {0};
    for (size_t row = 0; row < count; row++) {
        for (size_t d = 0; d < width; d++) {
            sums[d * CENTROIDS + nearest[row]] += rows[row * stride + d];
        }
    }
    for (size_t d = 0; d < width; d++) {
        for (size_t i = 0; i < CENTROIDS; i++) {
            centroids[d * CENTROIDS + i] = counts[i] > 0
                                               ? (float)(sums[d * CENTROIDS + i] / counts[i])
                                               : rows[replacements[i] * stride + d];
        }
    }
}

void cordwood_products_train(const cordwood_products *products, size_t part, const float *rows,
                             size_t stride, size_t count, size_t iterations, float *scratch,
                             float *centroids) {
    const size_t begin = first_of(products, part), end = first_of(products, part + 1);
    for (size_t i = 0; i < CENTROIDS; i++) {
        for (size_t d = begin; d < end; d++) {
            centroids[d * CENTROIDS + i] = rows[i * count / CENTROIDS * stride + d];
        }
    }
    for (size_t iteration = 0; iteration < iterations; iteration++) {
        uint32_t counts[CENTROIDS] = {0}, replacements[CENTROIDS] = {0};
        uint8_t *nearest = (uint8_t *)(scratch + count);
        for (size_t row = 0; row < count; row++) {
            float distances[CENTROIDS];
            part_distances(rows + row * stride, centroids, begin, end, true, distances);
            nearest[row] = (uint8_t)nearest_of(distances);
            scratch[row] = distances[nearest[row]];
            counts[nearest[row]]++;
        }
        for (size_t i = 0; i < CENTROIDS; i++) {
            for (size_t row = 1; row < count && counts[i] == 0; row++) {
                replacements[i] =
                    scratch[row] > scratch[replacements[i]] ? (uint32_t)row : replacements[i];
            }
            scratch[replacements[i]] = counts[i] == 0 ? 0 : scratch[replacements[i]];
        }
        for (size_t first = begin; first < end; first += COMPONENTS_AT_ONCE) {
            const size_t width =
                end - first < COMPONENTS_AT_ONCE ? end - first : COMPONENTS_AT_ONCE;
            move_centroids(nearest, counts, replacements, width, rows + first, stride, count,
                           centroids + first * CENTROIDS);
        }
    }
}

void cordwood_products_encode(const cordwood_products *products, const float *rows, size_t stride,
                              const uint32_t *order, size_t count, uint8_t *codes) {
    for (size_t i = 0; i < count; i++, codes += products->parts) {
        for (size_t part = 0; part < products->parts; part++) {
            float distances[CENTROIDS];
            part_distances(rows + order[i] * stride, products->centroids, first_of(products, part),
                           first_of(products, part + 1), true, distances);
            codes[part] = (uint8_t)nearest_of(distances);
        }
    }
}

void cordwood_products_table(const cordwood_products *products, const float *query, float *table) {
    for (size_t part = 0; part < products->parts; part++) {
        part_distances(query, products->centroids, first_of(products, part),
                       first_of(products, part + 1), products->metric == CORDWOOD_L2,
                       table + part * CENTROIDS);
    }
}

static void prefetch_code(const uint8_t *code, size_t bytes) {
    for (size_t i = 0; i < bytes; i += CACHE_LINE) {
        __builtin_prefetch(code + i);
    }
    __builtin_prefetch(code + bytes - 1);
}

void cordwood_products_distances(const cordwood_products *products, const float *table,
                                 const uint8_t *codes, const uint32_t *nodes, size_t count,
                                 float *distances) {
    const size_t parts = products->parts;
    for (size_t i = 0; i < count; i++) {
        prefetch_code(codes + nodes[i] * parts, parts);
    }
    for (size_t i = 0; i < count; i += NODES_AT_ONCE) {
        const uint8_t *some[NODES_AT_ONCE];
        float sums[NODES_AT_ONCE];
        for (size_t k = 0; k < NODES_AT_ONCE; k++) {
            some[k] = codes + nodes[i + k < count ? i + k : i] * parts;
            sums[k] = products->base;
        }
        const float *of_part = table;
        for (size_t part = 0; part < parts; part++, of_part += CENTROIDS) {
            for (size_t k = 0; k < NODES_AT_ONCE; k++) {
                sums[k] += of_part[some[k][part]];
            }
        }
        for (size_t k = 0; k < NODES_AT_ONCE && i + k < count; k++) {
            distances[i + k] = sums[k];
        }
    }
}
