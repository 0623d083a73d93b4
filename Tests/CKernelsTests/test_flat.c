// A scan by codes finds, bit for bit, what a scan of all rows finds, whatever the rows are like.

#include "check.h"
#include "cordwood_flat.h"

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
    uint8_t *codes, *errors;
    float *terms;
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
    for (uint32_t row = 0; row < count + QUERIES; row++) {
        float *values = rows.floats + row * rows.padded;
        for (size_t d = 0; d < dimensions; d++) {
            values[d] = component(shape, row, d, clusters, dimensions, random);
        }
        if (row < count) {
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
    // No more than is said to be needed, so that whatever is read or written beyond is found.
    const size_t groups = (count + CORDWOOD_FLAT_GROUP - 1) / CORDWOOD_FLAT_GROUP;
    const size_t group_bytes = cordwood_flat_group_bytes(&rows.quantizer);
    rows.codes = malloc(groups * group_bytes);
    rows.errors = malloc(groups * CORDWOOD_FLAT_GROUP);
    rows.terms =
        metric == CORDWOOD_L2 ? malloc(groups * CORDWOOD_FLAT_GROUP * sizeof(float)) : NULL;
    for (uint32_t first = 0; first < count; first += CORDWOOD_FLAT_BLOCK) {
        uint32_t left = count - first;
        cordwood_flat_encode(&rows.quantizer, rows.floats + first * rows.padded, rows.padded,
                             left < CORDWOOD_FLAT_BLOCK ? left : CORDWOOD_FLAT_BLOCK,
                             rows.codes + first / CORDWOOD_FLAT_GROUP * group_bytes,
                             rows.terms ? rows.terms + first : NULL, rows.errors + first,
                             &rows.bounds[first / CORDWOOD_FLAT_BLOCK]);
    }
    // The caller says where the quantizer is.
    rows.index = (cordwood_flat){.codes = {NULL, rows.codes, rows.terms, rows.errors, rows.bounds},
                                 .rows = is_f16 ? (uint8_t *)rows.halves : (uint8_t *)rows.floats,
                                 .stride = rows.padded * (is_f16 ? 2 : 4),
                                 .element = is_f16 ? CORDWOOD_F16 : CORDWOOD_F32,
                                 .dimensions = rows.padded,
                                 .metric = metric,
                                 .base = 1,
                                 .ids = rows.ids,
                                 .count = count};
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
    free(rows->errors);
    free(rows->terms);
}

/// Searches with all queries at once and compares with the distances of all rows; returns how many
/// rows were compared again.
static uint64_t search(const flat_rows *rows, const cordwood_flat *index, const uint64_t *allowed,
                       uint32_t capacity, uint32_t candidates, const char *what) {
    cordwood_flat_search searches[QUERIES];
    cordwood_topk nearest[QUERIES], expected;
    cordwood_neighbor *room = malloc((QUERIES + 1) * capacity * sizeof *room);
    int8_t *components[QUERIES];
    for (size_t i = 0; i < QUERIES; i++) {
        cordwood_topk_init(&nearest[i], room + i * capacity, capacity);
        components[i] = aligned_alloc(64, cordwood_code_query_bytes(&rows->quantizer));
        searches[i] = (cordwood_flat_search){
            .query = rows->floats + (rows->count + i) * rows->padded,
            .components = components[i],
            .candidates = malloc(candidates * sizeof(cordwood_flat_candidate)),
            .capacity = candidates,
            .nearest = &nearest[i]};
    }
    cordwood_flat_scan(index, allowed, searches, QUERIES);
    uint64_t compared = 0;
    for (size_t i = 0; i < QUERIES; i++) {
        cordwood_topk_init(&expected, room + QUERIES * capacity, capacity);
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
    rows.index.codes.quantizer = &rows.quantizer;
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
    without_codes.codes.quantizer = NULL;
    search(&rows, &without_codes, NULL, 10, 512, "without codes");
    // One row in so many: some groups of rows have none.
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

// MARK: Selecting

/// The code of a component of a row, read as the layout is written down.
static int32_t code_at(const flat_rows *rows, uint32_t row, size_t d) {
    const uint32_t tile = row / 64 * 64, left = rows->count - tile;
    const size_t width = left < 64 ? (left + 15) / 16 : 4, components = rows->bits == 8 ? 4 : 8;
    const uint8_t *codes = rows->codes + tile / 16 * cordwood_flat_group_bytes(&rows->quantizer);
    const size_t step = d / components * width + (row - tile) / 16;
    const uint8_t byte = codes[step * 64 + row % 16 * 4 + d % 4];
    return rows->bits == 8 ? byte : d % 8 < 4 ? byte & 15 : byte >> 4;
}

/// Codes are those of rows one behind the other, their padding is half, and errors and bounds hold
/// for all rows.
static void encodings(void) {
    uint64_t random = 3;
    for (size_t dimensions = 1; dimensions < 1100; dimensions += 1 + dimensions / 3) {
        for (uint32_t bits = 4; bits <= 8; bits += 4) {
            for (int shape = 0; shape < SHAPES; shape++) {
                const uint32_t count = 1 + (uint32_t)(next_random(&random) % 100);
                flat_rows rows = make_rows((row_shape)shape, dimensions, count, bits, CORDWOOD_L2,
                                           false, &random);
                const size_t stride = cordwood_code_stride(&rows.quantizer);
                const size_t bytes = cordwood_code_bytes(&rows.quantizer);
                uint8_t *plain = malloc(count * stride);
                const size_t padded =
                    cordwood_flat_group_bytes(&rows.quantizer) / 16 * (bits == 4 ? 2 : 1);
                for (uint32_t row = 0; row < count; row++) {
                    cordwood_encode(&rows.quantizer, rows.floats, rows.padded, &row, 1, plain);
                    size_t same = 0;
                    double error = 0, length = 0, squares = 0;
                    for (size_t d = 0; d < padded; d++) {
                        int32_t code = 1 << (bits - 1);
                        if (d < dimensions) {
                            code = bits == 8   ? plain[d]
                                   : d < bytes ? plain[d] & 15
                                               : plain[d - bytes] >> 4;
                            const double value = rows.floats[row * rows.padded + d];
                            const int32_t less = code - (1 << (bits - 1));
                            const double off =
                                value - (rows.centers[d] + (double)rows.steps[d] * less);
                            error += off * off;
                            length += value * value;
                            squares += less * less;
                        }
                        same += code_at(&rows, row, d) == code;
                    }
                    const cordwood_flat_bounds *bounds = &rows.bounds[0];
                    CHECK(same == padded, "row %u, %zu dimensions, %u bits", row, dimensions, bits);
                    CHECK(memcmp(&rows.terms[row], plain + bytes, sizeof(float)) == 0,
                          "term of row %u, %zu dimensions", row, dimensions);
                    CHECK((double)bounds->unit * rows.errors[row] >= sqrt(error),
                          "error of row %u, %zu dimensions", row, dimensions);
                    CHECK(sqrt(error) <= 0 ||
                              (double)bounds->unit * (rows.errors[row] - 1) <= sqrt(error),
                          "error of row %u, %zu dimensions is no more than it must be", row,
                          dimensions);
                    CHECK(bounds->length >= sqrt(length) && bounds->codes >= sqrt(squares) &&
                              bounds->term >= rows.terms[row],
                          "bounds of row %u, %zu dimensions", row, dimensions);
                }
                for (uint32_t row = count; row < (count + 15) / 16 * 16; row++) {
                    size_t same = 0;
                    for (size_t d = 0; d < padded; d++) {
                        same += code_at(&rows, row, d) == 1 << (bits - 1);
                    }
                    CHECK(same == padded && rows.terms[row] == 0 && rows.errors[row] == 0,
                          "padding %u, %zu dimensions", row, dimensions);
                }
                free(plain);
                free_rows(&rows);
            }
        }
    }
}

/// What the header says that a row's distance is, and how far it may be; `sum` is of its products.
static bool is_within(const flat_rows *rows, const cordwood_flat_probe *probe, uint32_t row,
                      int64_t sum, float *distance) {
    const float base = probe->query->base + (rows->terms ? rows->terms[row] : 0);
    const float product = (float)(sum - probe->query->shift) * probe->query->scale;
    *distance = base - product;
    const float error = rows->errors[row], square = rows->terms ? error * probe->square : 0;
    const float more = probe->linear + square, added = error * more;
    return !(*distance > probe->limit + added);
}

/// Selects with one instruction set's loops, and compares with what the header says.
static void one_selection(size_t variant, const flat_rows *rows, const int64_t *sums,
                          const uint64_t *allowed, const cordwood_flat_probe *probes,
                          size_t count) {
    static cordwood_flat_selection selections[CORDWOOD_FLAT_PROBES];
    const cordwood_flat_kernels *kernels = cordwood_flat_variant(variant);
    if (!kernels->supported()) {
        return;
    }
    const uint32_t first = rows->count > 256 ? 256 : 0;
    const uint32_t in_block = rows->count - first < 256 ? rows->count - first : 256;
    kernels->select(&rows->index.codes, first, in_block, allowed ? allowed + first / 64 : NULL,
                    probes, count, selections);
    for (size_t i = 0; i < count; i++) {
        uint32_t at = 0;
        for (uint32_t row = first; row < first + in_block; row++) {
            float distance;
            if ((allowed && !(allowed[row / 64] >> row % 64 & 1)) ||
                !is_within(rows, &probes[i], row, sums[row], &distance)) {
                continue;
            }
            CHECK(at < selections[i].count && selections[i].rows[at] == row - first &&
                      memcmp(&selections[i].distances[at], &distance, sizeof distance) == 0,
                  "variant %zu, %zu dimensions, %u bits, row %u of query %zu of %zu", variant,
                  rows->dimensions, rows->bits, row, i, count);
            at++;
        }
        CHECK(at == selections[i].count, "variant %zu, %zu dimensions selected %u of %u", variant,
              rows->dimensions, selections[i].count, at);
    }
}

/// All instruction sets select what the header says, for one query and for four, with and without a
/// filter, in a block that is full and in one that is not.
static void selections(size_t dimensions, uint32_t bits, cordwood_metric metric, bool is_extreme,
                       uint64_t *random) {
    const uint32_t counts[] = {1, 17, 64, 100, 256 + 130};
    const uint32_t count = counts[next_random(random) % 5];
    flat_rows rows = make_rows(NEAR_CENTERS, dimensions, count, bits, metric, false, random);
    rows.index.codes.quantizer = &rows.quantizer;
    int8_t *room = aligned_alloc(64, cordwood_code_query_bytes(&rows.quantizer));
    cordwood_code_query query;
    cordwood_code_query_prepare(&rows.quantizer, rows.floats + count * rows.padded, room, &query);
    if (is_extreme) {
        // The greatest sums there can be, and pairs that do not fit into 16 bits.
        memset(rows.codes, 255, (count + 15) / 16 * cordwood_flat_group_bytes(&rows.quantizer));
        int32_t sum = 0;
        for (size_t d = 0; d < dimensions; d++) {
            room[d] = next_random(random) % 4 == 0 ? 127 : -127;
            sum += room[d];
        }
        query.shift = sum * (1 << (bits - 1));
    }
    int64_t *sums = calloc(count, sizeof *sums);
    for (uint32_t row = 0; row < count; row++) {
        for (size_t d = 0; d < dimensions; d++) {
            sums[row] += code_at(&rows, row, d) * room[d];
        }
    }
    uint64_t allowed[7];
    for (size_t word = 0; word < 7; word++) {
        allowed[word] = next_random(random) & next_random(random) & next_random(random);
    }
    allowed[count / 64] &= ((uint64_t)1 << count % 64) - 1;
    for (size_t i = count / 64 + 1; i < 7; i++) {
        allowed[i] = 0;
    }
    for (int round = 0; round < 6; round++) {
        cordwood_flat_probe probes[CORDWOOD_FLAT_PROBES];
        for (size_t i = 0; i < CORDWOOD_FLAT_PROBES; i++) {
            // The distance of some row, so that some are within it, or what is no number.
            const cordwood_flat_probe any = {&query, 0, 0, 0};
            float distance;
            const uint32_t row = (uint32_t)(next_random(random) % count);
            is_within(&rows, &any, row, sums[row], &distance);
            const float part = 0.001f * (float)(next_random(random) % 3);
            probes[i] = (cordwood_flat_probe){&query, distance, part, part / 10};
        }
        probes[1].limit = -INFINITY;
        probes[3].limit = round == 0 ? NAN : probes[3].limit;
        for (size_t variant = 0; variant < cordwood_flat_variant_count(); variant++) {
            one_selection(variant, &rows, sums, round % 2 ? allowed : NULL, probes,
                          round < 4 ? CORDWOOD_FLAT_PROBES : 1 + (size_t)round % 3);
        }
    }
    free(sums);
    free(room);
    free_rows(&rows);
}

void test_flat(void) {
    encodings();
    uint64_t random = 17;
    for (size_t dimensions = 1; dimensions <= 1100; dimensions += 1 + dimensions / 10) {
        for (uint32_t bits = 4; bits <= 8; bits += 4) {
            selections(dimensions, bits, CORDWOOD_L2, false, &random);
            selections(dimensions, bits, CORDWOOD_IP, false, &random);
            selections(dimensions, bits, CORDWOOD_IP, true, &random);
        }
    }
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
