// A scan by codes finds, bit for bit, what a scan of all rows finds, whatever the rows are like.

#include "check.h"
#include "cordwood_flat.h"
#include "cordwood_graph.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { QUERIES = 5 };

/// What rows are like.
typedef enum {
    NEAR_CENTERS,
    ALL_EQUAL,
    /// Whole numbers, so that many are equally far.
    WITH_TIES,
    /// One row far from the others, which takes all steps.
    WITH_OUTLIER,
    /// Differences that codes cannot tell apart.
    NEARLY_EQUAL,
    /// Steps so long that codes say little.
    COARSE,
    LARGE,
    TINY,
    SHAPES,
} row_shape;

static float component(row_shape shape, size_t row, size_t d, const float *centers,
                       size_t dimensions, uint64_t *random) {
    float noise = next_float(random);
    float center = centers[row % 20 * dimensions + d];
    switch (shape) {
    case NEAR_CENTERS:
        return center + 0.3f * noise;
    case ALL_EQUAL:
        return centers[d];
    case WITH_TIES:
        return (float)(int)(2.5f * noise);
    case WITH_OUTLIER:
        return row == 77 ? 1000 * noise : center + 0.3f * noise;
    case NEARLY_EQUAL:
        return centers[d] + 1e-5f * noise + (row == 5 ? 1 : 0);
    case COARSE:
        return noise;
    case LARGE:
        return 1e19f * (center + noise);
    case TINY:
        return 1e-22f * (center + noise);
    case SHAPES:
        break;
    }
    return 0;
}

typedef struct {
    size_t dimensions, padded;
    uint32_t count, bits;
    float *floats;
    uint16_t *halves;
    uint64_t *ids;
    float *centers, *steps;
    uint8_t *codes;
    cordwood_flat_bounds *bounds;
    cordwood_quantizer quantizer;
    cordwood_flat index;
} flat_rows;

/// Steps by the ranges of all rows, or of less, so that some are cut.
static void fit(flat_rows *rows, float part) {
    const float codes = (float)((1 << rows->bits) - 1);
    for (size_t d = 0; d < rows->dimensions; d++) {
        float least = INFINITY, greatest = -INFINITY;
        for (uint32_t row = 0; row < rows->count; row++) {
            least = fminf(least, rows->floats[row * rows->padded + d]);
            greatest = fmaxf(greatest, rows->floats[row * rows->padded + d]);
        }
        float middle = least / 2 + greatest / 2;
        rows->steps[d] = fmaxf(part * (greatest / codes - least / codes), 0x1p-100f);
        rows->centers[d] = middle + rows->steps[d] / 2;
    }
}

static flat_rows make_rows(row_shape shape, size_t dimensions, uint32_t count, uint32_t bits,
                           cordwood_metric metric, bool is_f16, uint64_t *random) {
    flat_rows rows = {.dimensions = dimensions, .count = count, .bits = bits};
    rows.padded = (dimensions + 15) / 16 * 16;
    rows.floats = calloc((count + QUERIES) * rows.padded, sizeof(float));
    rows.halves = calloc(count * rows.padded, sizeof(uint16_t));
    rows.ids = malloc(count * sizeof(uint64_t));
    rows.centers = malloc(dimensions * sizeof(float));
    rows.steps = malloc(dimensions * sizeof(float));
    rows.bounds = malloc((count / CORDWOOD_FLAT_BLOCK + 1) * sizeof *rows.bounds);
    float *clusters = malloc(20 * dimensions * sizeof(float));
    for (size_t i = 0; i < 20 * dimensions; i++) {
        clusters[i] = next_float(random);
    }
    uint32_t *order = malloc(count * sizeof(uint32_t));
    for (uint32_t row = 0; row < count + QUERIES; row++) {
        float *values = rows.floats + row * rows.padded;
        for (size_t d = 0; d < dimensions; d++) {
            values[d] = component(shape, row, d, clusters, dimensions, random);
        }
        if (row < count) {
            order[row] = row;
            rows.ids[row] = next_random(random) % 1000 * 4096 + row;
            if (is_f16) {
                uint16_t *halves = rows.halves + row * rows.padded;
                cordwood_f16_encode(values, rows.padded, halves);
                cordwood_f16_decode(halves, rows.padded, values);
            }
        }
    }
    fit(&rows, shape == COARSE ? 0.4f * (float)(1 << bits) : bits == 4 ? 0.6f : 1);
    rows.quantizer = (cordwood_quantizer){dimensions, bits, metric, 1, rows.centers, rows.steps};
    const size_t stride = cordwood_code_stride(&rows.quantizer);
    rows.codes = malloc(count * stride);
    cordwood_encode(&rows.quantizer, rows.floats, rows.padded, order, count, rows.codes);
    for (uint32_t first = 0; first < count; first += CORDWOOD_FLAT_BLOCK) {
        uint32_t left = count - first;
        cordwood_flat_measure(&rows.quantizer, rows.floats + first * rows.padded, rows.padded,
                              left < CORDWOOD_FLAT_BLOCK ? left : CORDWOOD_FLAT_BLOCK,
                              rows.codes + first * stride,
                              &rows.bounds[first / CORDWOOD_FLAT_BLOCK]);
    }
    // The caller says where the quantizer is.
    rows.index = (cordwood_flat){.codes = rows.codes,
                                 .bounds = rows.bounds,
                                 .rows = is_f16 ? (uint8_t *)rows.halves : (uint8_t *)rows.floats,
                                 .stride = rows.padded * (is_f16 ? 2 : 4),
                                 .element = is_f16 ? CORDWOOD_F16 : CORDWOOD_F32,
                                 .dimensions = rows.padded,
                                 .metric = metric,
                                 .base = 1,
                                 .ids = rows.ids,
                                 .count = count};
    free(order);
    free(clusters);
    return rows;
}

static void free_rows(flat_rows *rows) {
    free(rows->floats);
    free(rows->halves);
    free(rows->ids);
    free(rows->centers);
    free(rows->steps);
    free(rows->bounds);
    free(rows->codes);
}

/// Searches with all queries at once and compares with the distances of all rows; returns how many
/// rows were compared again.
static uint64_t search(const flat_rows *rows, const cordwood_flat *index, const uint64_t *allowed,
                       uint32_t capacity, uint32_t candidates, const char *what) {
    cordwood_flat_search searches[QUERIES];
    cordwood_topk upper[QUERIES], nearest[QUERIES], expected;
    cordwood_neighbor *room = malloc((2 * QUERIES + 1) * capacity * sizeof *room);
    int8_t *components[QUERIES];
    for (size_t i = 0; i < QUERIES; i++) {
        cordwood_topk_init(&upper[i], room + 2 * i * capacity, capacity);
        cordwood_topk_init(&nearest[i], room + (2 * i + 1) * capacity, capacity);
        components[i] = aligned_alloc(64, cordwood_code_query_bytes(&rows->quantizer));
        searches[i] = (cordwood_flat_search){
            .query = rows->floats + (rows->count + i) * rows->padded,
            .components = components[i],
            .candidates = malloc(candidates * sizeof(cordwood_flat_candidate)),
            .capacity = candidates,
            .upper = &upper[i],
            .nearest = &nearest[i]};
    }
    cordwood_flat_scan(index, allowed, searches, QUERIES);
    uint64_t compared = 0;
    for (size_t i = 0; i < QUERIES; i++) {
        cordwood_topk_init(&expected, room + 2 * QUERIES * capacity, capacity);
        cordwood_element_query query = {index->element, searches[i].query, index->dimensions,
                                        index->metric, index->base};
        for (uint32_t row = 0; row < index->count; row++) {
            const void *address = index->rows + row * index->stride;
            float distance;
            if (!allowed || allowed[row / 64] >> row % 64 & 1) {
                cordwood_element_distances(&query, &address, 1, &distance);
                cordwood_topk_push(&expected, distance, index->ids[row]);
            }
        }
        cordwood_topk_sort(&expected);
        cordwood_topk_sort(&nearest[i]);
        CHECK(nearest[i].count == expected.count, "%s: %u of %u", what, nearest[i].count,
              expected.count);
        uint32_t same = 0;
        while (same < expected.count && nearest[i].heap[same].id == expected.heap[same].id &&
               nearest[i].heap[same].distance == expected.heap[same].distance) {
            same++;
        }
        CHECK(same == expected.count, "%s, %zu dimensions, %u bits, metric %d: rank %u of %u is %g",
              what, rows->dimensions, rows->bits, index->metric, same, expected.count,
              nearest[i].heap[same].distance);
        compared += searches[i].compared;
        free(components[i]);
        free(searches[i].candidates);
    }
    free(room);
    return compared;
}

static void one_kind(row_shape shape, size_t dimensions, uint32_t count, uint32_t bits,
                     cordwood_metric metric, bool is_f16, uint64_t *random) {
    flat_rows rows = make_rows(shape, dimensions, count, bits, metric, is_f16, random);
    rows.index.quantizer = &rows.quantizer;
    uint64_t *allowed = malloc((count / 64 + 1) * sizeof(uint64_t));
    uint64_t compared = search(&rows, &rows.index, NULL, 10, 4096, "all");
    if (shape == NEAR_CENTERS && count > 2000) {
        CHECK(compared < QUERIES * count / (bits == 8 ? 20 : 4),
              "%zu dimensions, %u bits, metric %d: %lu rows of %u were compared", dimensions, bits,
              metric, (unsigned long)compared, count);
    }
    search(&rows, &rows.index, NULL, 1, 512, "one");
    search(&rows, &rows.index, NULL, 300, 512, "little room");
    search(&rows, &rows.index, NULL, count + 5, 1024, "more than there are");
    cordwood_flat without_codes = rows.index;
    without_codes.quantizer = NULL;
    search(&rows, &without_codes, NULL, 10, 512, "without codes");
    // One row in so many: few enough to be gathered, and not.
    for (uint64_t part = 2; part <= 32; part *= 4) {
        memset(allowed, 0, (count / 64 + 1) * sizeof(uint64_t));
        for (uint32_t row = 0; row < count; row++) {
            bool is_allowed = next_random(random) % part == 0 && row / 256 != 1;
            allowed[row / 64] |= (uint64_t)is_allowed << row % 64;
        }
        search(&rows, &rows.index, allowed, 10, 512, "filtered");
        search(&rows, &without_codes, allowed, 10, 512, "filtered without codes");
    }
    free(allowed);
    free_rows(&rows);
}

/// Several queries, every other one with a limit that nothing is within.
static void one_selection(size_t index, const flat_rows *rows, const cordwood_code_query *query,
                          float limit, const float *distances, size_t queries) {
    const cordwood_graph_kernels *kernels = cordwood_graph_variant(index);
    if (!kernels->supported()) {
        return;
    }
    static cordwood_code_selection selections[CORDWOOD_SELECTED_QUERIES];
    const cordwood_code_query *each[] = {query, query, query, query};
    const float limits[] = {limit, -INFINITY, limit, -INFINITY};
    kernels->select(&rows->quantizer, each, limits, queries, rows->codes, rows->count, selections);
    for (size_t i = 0; i < queries; i++) {
        uint32_t at = 0;
        for (uint32_t row = 0; row < rows->count; row++) {
            if (!(distances[row] > limits[i])) {
                CHECK(at < selections[i].count && selections[i].rows[at] == row &&
                          selections[i].distances[at] == distances[row],
                      "variant %zu, %zu dimensions, %zu queries", index, rows->dimensions, queries);
                at++;
            }
        }
        CHECK(at == selections[i].count, "variant %zu selected %u of %u", index,
              selections[i].count, at);
    }
}

/// Select finds what distances say, of every instruction set.
static void selections(void) {
    uint64_t random = 5;
    for (size_t dimensions = 1; dimensions < 300; dimensions += 1 + dimensions / 8) {
        for (uint32_t bits = 4; bits <= 8; bits += 4) {
            for (int metric = CORDWOOD_L2; metric <= CORDWOOD_IP; metric++) {
                uint32_t count = 1 + (uint32_t)dimensions % 37;
                flat_rows rows = make_rows(NEAR_CENTERS, dimensions, count, bits,
                                           (cordwood_metric)metric, false, &random);
                int8_t *room = aligned_alloc(64, cordwood_code_query_bytes(&rows.quantizer));
                cordwood_code_query query;
                cordwood_code_query_prepare(&rows.quantizer, rows.floats + count * rows.padded,
                                            room, &query);
                const uint8_t *addresses[40];
                float distances[40];
                for (uint32_t row = 0; row < count; row++) {
                    addresses[row] = rows.codes + row * cordwood_code_stride(&rows.quantizer);
                }
                cordwood_code_distances(&rows.quantizer, &query, addresses, count, distances);
                for (size_t index = 0; index < cordwood_graph_variant_count(); index++) {
                    for (uint32_t which = 0; which <= count; which++) {
                        float limit = which < count ? distances[which] : NAN;
                        one_selection(index, &rows, &query, limit, distances, 1 + which % 4);
                    }
                }
                free(room);
                free_rows(&rows);
            }
        }
    }
}

void test_flat(void) {
    selections();
    uint64_t random = 17;
    const size_t dimensions[] = {1, 2, 3, 16, 50, 131, 384};
    for (size_t i = 0; i < sizeof dimensions / sizeof dimensions[0]; i++) {
        for (int shape = 0; shape < SHAPES; shape++) {
            for (uint32_t bits = 4; bits <= 8; bits += 4) {
                for (int metric = CORDWOOD_L2; metric <= CORDWOOD_IP; metric++) {
                    bool is_f16 = shape < LARGE && (i + bits / 4 + (uint32_t)metric) % 2;
                    one_kind((row_shape)shape, dimensions[i], 700, bits, (cordwood_metric)metric,
                             is_f16, &random);
                }
            }
        }
    }
    for (uint32_t bits = 4; bits <= 8; bits += 4) {
        for (int metric = CORDWOOD_L2; metric <= CORDWOOD_IP; metric++) {
            one_kind(NEAR_CENTERS, 64, 5000, bits, (cordwood_metric)metric, false, &random);
            one_kind(NEAR_CENTERS, 64, 1, bits, (cordwood_metric)metric, false, &random);
        }
    }
}
