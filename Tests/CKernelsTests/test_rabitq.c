// Every instruction set's RaBitQ against double precision, by what the header says of the bytes,
// and against plain C bit for bit.

#include "check.h"
#include "cordwood_rabitq.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_DIMENSIONS = 1100, ROWS = 39, BLOCK = CORDWOOD_RABITQ_BLOCK };

static float *random_floats(size_t count, float scale, uint64_t *random) {
    float *values = malloc(count * sizeof(float));
    for (size_t i = 0; i < count; i++) {
        values[i] = scale * (next_float(random) + next_float(random) + next_float(random));
    }
    return values;
}

static double product(const float *a, const float *b, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)a[i] * b[i];
    }
    return sum;
}

/// What all shapes' bytes and estimates hash to (FNV-1a), the same on every processor.
static const uint64_t golden = 0x8dcde0a04be9780;
static uint64_t digest = 0xcbf29ce484222325;

static void add_to_digest(const void *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        digest = (digest ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3;
    }
}

static float float_at(const uint8_t *bytes) {
    float value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

// MARK: Rotation

static void one_rotation(size_t dimensions, uint64_t *random) {
    const size_t rotated = cordwood_rotation_dimensions(dimensions);
    CHECK(rotated % 64 == 0 && rotated >= dimensions && rotated < dimensions + 64, "%zu", rotated);
    float *factors = malloc(CORDWOOD_ROTATION_ROUNDS * rotated * sizeof(float));
    cordwood_rotation_make(dimensions, dimensions, factors);
    float *origin = random_floats(dimensions, 1, random);
    const cordwood_rotation rotation = {dimensions, origin, factors};
    float *vectors[2], *first[2];
    for (int i = 0; i < 2; i++) {
        vectors[i] = random_floats(dimensions, 1, random);
        first[i] = malloc(rotated * sizeof(float));
    }
    float *other = malloc(rotated * sizeof(float));
    for (size_t index = 0; index < cordwood_rabitq_variant_count(); index++) {
        const cordwood_rabitq_kernels *kernels = cordwood_rabitq_variant(index);
        for (int i = 0; i < 2 && kernels->supported(); i++) {
            kernels->rotate(&rotation, vectors[i], index == 0 ? first[i] : other);
            CHECK(index == 0 || memcmp(first[i], other, rotated * sizeof(float)) == 0,
                  "variant %zu rotates %zu dimensions differently", index, dimensions);
        }
    }
    for (int i = 0; i < 2; i++) {
        for (size_t d = 0; d < dimensions; d++) {
            vectors[i][d] -= origin[d];
        }
    }
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < 2; j++) {
            double before = product(vectors[i], vectors[j], dimensions);
            double after = product(first[i], first[j], rotated);
            CHECK(fabs(before - after) < 1e-5 * (double)dimensions,
                  "%zu dimensions: the product was %g and is %g", dimensions, before, after);
        }
    }
    for (int i = 0; i < 2; i++) {
        free(vectors[i]);
        free(first[i]);
    }
    free(factors);
    free(origin);
    free(other);
}

/// What was in one component is in all of them, about evenly.
static void spread(void) {
    for (size_t dimensions = 1; dimensions <= MOST_DIMENSIONS; dimensions += 37) {
        const size_t rotated = cordwood_rotation_dimensions(dimensions);
        float *factors = malloc(CORDWOOD_ROTATION_ROUNDS * rotated * sizeof(float));
        float *vector = calloc(dimensions, sizeof(float)), *out = malloc(rotated * sizeof(float));
        double mean[4] = {0};
        enum { SEEDS = 40 };
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            cordwood_rotation_make(seed, dimensions, factors);
            cordwood_rotation rotation = {dimensions, NULL, factors};
            vector[dimensions / 2] = 1;
            cordwood_rotate(&rotation, vector, out);
            for (size_t i = 0; i < rotated; i++) {
                CHECK(fabsf(out[i]) < 8 / sqrtf((float)rotated), "%zu: %g", dimensions, out[i]);
                mean[i * 4 / rotated] += (double)out[i] * out[i] / SEEDS;
            }
        }
        for (int quarter = 0; quarter < 4; quarter++) {
            CHECK(fabs(mean[quarter] - 0.25) < 0.06, "%zu dimensions, quarter %d: %g", dimensions,
                  quarter, mean[quarter]);
        }
        free(factors);
        free(vector);
        free(out);
    }
}

// MARK: Codes

/// Lists of rows, and what their bytes say.
typedef struct {
    cordwood_rabitq quantizer;
    float *center, *rows, *differences;
    uint8_t *blocks, *extra;
    size_t block_bytes, row_bytes;
    uint64_t ids[ROWS];
} coded_list;

static void encode_with(const cordwood_rabitq_kernels *kernels, coded_list *list, uint8_t *blocks,
                        uint8_t *extra, float *differences) {
    const size_t dimensions = list->quantizer.dimensions;
    memcpy(differences, list->rows, ROWS * dimensions * sizeof(float));
    // In two calls, of which the second begins within a block.
    kernels->encode(&list->quantizer, list->center, differences, 0, 5, blocks, extra);
    kernels->encode(&list->quantizer, list->center, differences + 5 * dimensions, 5, ROWS - 5,
                    blocks, extra);
}

static coded_list make_list(size_t dimensions, uint32_t bits, cordwood_metric metric, float epsilon,
                            uint64_t *random) {
    coded_list list = {.quantizer = {dimensions, bits, metric, 1, epsilon}};
    list.center = random_floats(dimensions, 0.5f, random);
    list.rows = random_floats(ROWS * dimensions, 1, random);
    // One is the center, and two are equal.
    memcpy(list.rows, list.center, dimensions * sizeof(float));
    memcpy(list.rows + dimensions, list.rows + 2 * dimensions, dimensions * sizeof(float));
    list.block_bytes = cordwood_rabitq_block_bytes(&list.quantizer, ROWS);
    list.row_bytes = cordwood_rabitq_row_bytes(&list.quantizer);
    list.blocks = calloc(1, list.block_bytes);
    list.extra = calloc(1, ROWS * list.row_bytes + 1);
    list.differences = malloc(ROWS * dimensions * sizeof(float));
    encode_with(cordwood_rabitq_variant(0), &list, list.blocks, list.extra, list.differences);
    for (size_t row = 0; row < ROWS; row++) {
        list.ids[row] = 1000 - row;
        for (size_t d = 0; d < dimensions; d++) {
            list.differences[row * dimensions + d] =
                list.rows[row * dimensions + d] - list.center[d];
        }
    }
    return list;
}

static void free_list(coded_list *list) {
    free(list->center);
    free(list->rows);
    free(list->differences);
    free(list->blocks);
    free(list->extra);
}

static const uint8_t *block_of(const coded_list *list, size_t row) {
    return list->blocks + row / BLOCK * (list->block_bytes / ((ROWS + BLOCK - 1) / BLOCK));
}

static float factor_of(const coded_list *list, size_t row, size_t kind) {
    return float_at(block_of(list, row) + (kind * BLOCK + row % BLOCK) * sizeof(float));
}

/// What the codes of a row stand for, by `bits` bits.
static void decode(const coded_list *list, size_t row, uint32_t bits, float *y) {
    const size_t dimensions = list->quantizer.dimensions, bytes = dimensions / 8;
    const uint8_t *signs = block_of(list, row) + 3 * BLOCK * sizeof(float);
    for (size_t d = 0; d < dimensions; d++) {
        uint32_t code = signs[d % bytes * BLOCK + row % BLOCK] >> d / bytes & 1;
        if (bits > 1) {
            const uint8_t *fields = list->extra + row * list->row_bytes + 2 * sizeof(float);
            for (uint32_t left = bits - 1; left > 0;) {
                uint32_t width = left >= 4 ? 4 : left >= 2 ? 2 : 1;
                size_t count = bytes * width;
                uint32_t field = fields[d % count] >> d / count * width & ((1u << width) - 1);
                code = code << width | field;
                fields += count;
                left -= width;
            }
        }
        y[d] = (float)code - (float)((1u << bits) - 1) / 2;
    }
}

static void check_codes(const coded_list *list) {
    const size_t dimensions = list->quantizer.dimensions;
    const uint32_t all = list->quantizer.bits;
    float *y = malloc(dimensions * sizeof(float));
    for (size_t row = 0; row < ROWS; row++) {
        const float *r = list->differences + row * dimensions;
        double norm = product(r, r, dimensions);
        double term =
            list->quantizer.metric == CORDWOOD_L2 ? norm : -product(r, list->center, dimensions);
        CHECK(fabs(factor_of(list, row, 0) - term) <= 1e-6 * (fabs(term) + 1e-3), "term");
        for (uint32_t bits = 1; bits <= all; bits += all > 1 ? all - 1 : 1) {
            decode(list, row, bits, y);
            double along = product(y, r, dimensions), squares = product(y, y, dimensions);
            const uint8_t *extra = list->extra + row * list->row_bytes;
            double scale = bits == 1 ? factor_of(list, row, 1) : float_at(extra);
            double error = bits == 1 ? factor_of(list, row, 2) : float_at(extra + 4);
            if (norm == 0) {
                CHECK(scale == 0 && error == 0, "of nothing: %g %g", scale, error);
                continue;
            }
            CHECK(fabs(scale * along - norm) <= 1e-5 * norm, "scale %g: %g for %g", scale,
                  scale * along, norm);
            double length = scale * scale * squares;
            double expected = sqrt(fmax(length - norm, 0) / (double)(dimensions - 1)) +
                              (bits > 1 ? sqrt(length / (double)dimensions) / 2048 : 0);
            CHECK(fabs(error - expected) <= 1e-3 * expected + 1e-6 * sqrt(norm),
                  "%zu dimensions, %u bits: error %g, expected %g", dimensions, bits, error,
                  expected);
            // The signs' angle, and each further bit about halves its tangent: those of normal
            // components, with room for the few components of small dimensions.
            double tangent = sqrt(fmax(length / norm - 1, 0));
            CHECK(tangent < (bits == 1 ? 1.1 : 2.2 / (double)(1u << bits)),
                  "%zu dimensions, %u bits: tangent %g", dimensions, bits, tangent);
        }
    }
    free(y);
}

// MARK: Estimates

/// The estimate in double precision, and how far a query's whole numbers can put it off.
static double expected_distance(const coded_list *list, size_t row, uint32_t bits,
                                const float *query, const cordwood_rabitq_query *prepared,
                                double *off) {
    const size_t dimensions = list->quantizer.dimensions;
    const bool l2 = list->quantizer.metric == CORDWOOD_L2;
    float *y = malloc(dimensions * sizeof(float)), *q = malloc(dimensions * sizeof(float));
    decode(list, row, bits, y);
    double all = 0;
    for (size_t d = 0; d < dimensions; d++) {
        q[d] = query[d] - list->center[d];
        all += fabs(y[d]);
    }
    const float *r = list->differences + row * dimensions;
    double norm = product(r, r, dimensions), along = product(y, r, dimensions);
    double scale = along > 0 ? norm / along : 0, times = l2 ? 2 : 1;
    double base = l2 ? product(q, q, dimensions) + norm
                     : (double)list->quantizer.base - product(list->center, query, dimensions) -
                           product(r, list->center, dimensions);
    double step = bits == 1 ? 0.51 * (double)dimensions / 4 * prepared->scale
                            : 0.51 * all * 2 * prepared->unit;
    *off = scale * step + 1e-5 * (fabs(base) + (double)dimensions);
    double distance = base - times * scale * product(y, q, dimensions);
    free(y);
    free(q);
    return l2 && distance < 0 ? 0 : distance;
}

static bool same_query(const cordwood_rabitq_query *a, const cordwood_rabitq_query *b,
                       uint32_t bits) {
    return memcmp(&a->base, &b->base, sizeof(float) * 6) == 0 &&
           (bits == 1 || (memcmp(&a->unit, &b->unit, sizeof(float)) == 0 &&
                          memcmp(&a->full_error, &b->full_error, sizeof(float)) == 0 &&
                          a->sum_shift == b->sum_shift));
}

/// A scan without exact rows, a block and a row at a time.
static void expected_scan(const coded_list *list, const cordwood_rabitq_estimate *signs,
                          const cordwood_rabitq_estimate *full, const uint64_t *allowed,
                          size_t place, cordwood_topk *topk) {
    float threshold = topk->threshold;
    for (size_t row = 0; row < ROWS; row++) {
        if (row % BLOCK == 0) {
            threshold = topk->threshold;
        }
        bool is_allowed = !allowed || (allowed[(place + row) / 64] >> (place + row) % 64 & 1);
        if (is_allowed && !(signs[row].bound > threshold) &&
            !(full[row].distance > topk->threshold)) {
            cordwood_topk_push(topk, full[row].distance, list->ids[row]);
        }
    }
}

static bool same_results(cordwood_topk *a, cordwood_topk *b) {
    cordwood_topk_sort(a);
    cordwood_topk_sort(b);
    for (uint32_t i = 0; i < a->count && a->count == b->count; i++) {
        if (a->heap[i].id != b->heap[i].id || a->heap[i].distance != b->heap[i].distance) {
            return false;
        }
    }
    return a->count == b->count;
}

static void check_scans(const cordwood_rabitq_kernels *kernels, const coded_list *coded,
                        const float *query, cordwood_rabitq_query *prepared,
                        const cordwood_rabitq_estimate *signs, const cordwood_rabitq_estimate *full,
                        uint64_t seed) {
    const size_t dimensions = coded->quantizer.dimensions;
    uint64_t state = seed, *random = &state;
    const size_t place = next_random(random) % 130, words = (place + ROWS + 63) / 64;
    uint64_t *bits = malloc(words * sizeof(uint64_t));
    for (size_t word = 0; word < words; word++) {
        bits[word] = next_random(random) & (next_random(random) | 0xffff);
    }
    cordwood_rabitq_list list = {ROWS,  coded->blocks, coded->extra, coded->ids,
                                 place, NULL,          dimensions};
    cordwood_f32_query floats = {query, dimensions, coded->quantizer.metric, coded->quantizer.base};
    const uint64_t *filters[] = {NULL, bits};
    for (int filter = 0; filter < 2; filter++) {
        const uint64_t *allowed = filters[filter];
        enum { K = 6 };
        cordwood_neighbor rooms[2][K];
        cordwood_topk found, expected;
        cordwood_topk_init(&found, rooms[0], K);
        cordwood_topk_init(&expected, rooms[1], K);
        list.exact = NULL;
        kernels->scan(&coded->quantizer, &list, prepared, NULL, allowed, &found);
        expected_scan(coded, signs, full, allowed, place, &expected);
        CHECK(same_results(&found, &expected), "%zu dimensions, filter %d: estimates", dimensions,
              filter);
        cordwood_topk_init(&found, rooms[0], K);
        cordwood_topk_init(&expected, rooms[1], K);
        list.exact = coded->rows;
        prepared->exact_count = 0;
        kernels->scan(&coded->quantizer, &list, prepared, &floats, allowed, &found);
        size_t present = 0;
        for (size_t row = 0; row < ROWS; row++) {
            if (!allowed || (allowed[(place + row) / 64] >> (place + row) % 64 & 1)) {
                const float *address = coded->rows + row * dimensions;
                float distance;
                cordwood_f32_distances(&floats, &address, 1, &distance);
                cordwood_topk_push(&expected, distance, coded->ids[row]);
                present++;
            }
        }
        CHECK(same_results(&found, &expected), "%zu dimensions, %u bits, filter %d: exact",
              dimensions, coded->quantizer.bits, filter);
        CHECK(prepared->exact_count <= present, "%zu of %zu rows were compared exactly",
              (size_t)prepared->exact_count, present);
    }
    free(bits);
}

static void one_shape(size_t dimensions, uint32_t bits, cordwood_metric metric, uint64_t *random) {
    // Bounds so wide that none fails.
    coded_list coded = make_list(dimensions, bits, metric, 7, random);
    check_codes(&coded);
    float *query = random_floats(dimensions, 1, random);
    const size_t room_bytes = cordwood_rabitq_query_bytes(&coded.quantizer);
    const size_t compared = (bits == 1 ? 8 : 10) * dimensions;
    uint8_t *first_room = aligned_alloc(64, room_bytes), *room = aligned_alloc(64, room_bytes);
    uint8_t *blocks = calloc(1, coded.block_bytes);
    uint8_t *extra = calloc(1, ROWS * coded.row_bytes + 1);
    float *differences = malloc(ROWS * dimensions * sizeof(float));
    cordwood_rabitq_query first;
    cordwood_rabitq_estimate firsts[2][ROWS];
    const cordwood_rabitq_list list = {ROWS, coded.blocks, coded.extra, coded.ids, 0, NULL, 0};
    CHECK(cordwood_rabitq_is_sound(&coded.quantizer, coded.blocks, coded.extra, ROWS), "sound");
    for (size_t index = 0; index < cordwood_rabitq_variant_count(); index++) {
        const cordwood_rabitq_kernels *kernels = cordwood_rabitq_variant(index);
        if (!kernels->supported()) {
            continue;
        }
        memset(blocks, 0, coded.block_bytes);
        memset(extra, 0, ROWS * coded.row_bytes);
        encode_with(kernels, &coded, blocks, extra, differences);
        CHECK(memcmp(blocks, coded.blocks, coded.block_bytes) == 0 &&
                  memcmp(extra, coded.extra, ROWS * coded.row_bytes) == 0,
              "variant %zu encodes %zu dimensions in %u bits differently", index, dimensions, bits);
        cordwood_rabitq_query prepared = {.exact_count = 0};
        memset(room, 0, room_bytes);
        kernels->prepare(&coded.quantizer, coded.center, query, room, &prepared);
        cordwood_rabitq_estimate estimates[2][ROWS];
        kernels->estimates(&coded.quantizer, &list, &prepared, 1, estimates[0]);
        kernels->estimates(&coded.quantizer, &list, &prepared, bits, estimates[1]);
        if (index == 0) {
            first = prepared;
            memcpy(firsts, estimates, sizeof firsts);
            memcpy(first_room, room, room_bytes);
            add_to_digest(blocks, coded.block_bytes);
            add_to_digest(extra, ROWS * coded.row_bytes);
            add_to_digest(estimates, sizeof estimates);
        }
        CHECK(memcmp(room, first_room, compared) == 0 && same_query(&prepared, &first, bits),
              "variant %zu prepares %zu dimensions differently", index, dimensions);
        CHECK(memcmp(firsts, estimates, sizeof firsts) == 0,
              "variant %zu estimates %zu dimensions differently", index, dimensions);
        for (size_t row = 0; row < ROWS && index == 0; row++) {
            for (int level = 0; level < 2; level++) {
                double off, expected = expected_distance(&coded, row, level ? bits : 1, query,
                                                         &prepared, &off);
                double distance = estimates[level][row].distance;
                CHECK(fabs(distance - expected) <= off,
                      "%zu dimensions, %u bits, metric %d: %g, expected %g, off by at most %g",
                      dimensions, level ? bits : 1, metric, distance, expected, off);
            }
        }
        check_scans(kernels, &coded, query, &prepared, estimates[0], estimates[1], *random);
    }
    free(query);
    free(first_room);
    free(room);
    free(blocks);
    free(extra);
    free(differences);
    free_list(&coded);
}

// MARK: Ends of ranges

/// The largest sums that there can be.
static void largest_sums(void) {
    enum { MOST = 65536 };
    float *center = calloc(MOST, sizeof(float)), *row = malloc(MOST * sizeof(float));
    float *query = malloc(MOST * sizeof(float));
    cordwood_rabitq quantizer = {MOST, 8, CORDWOOD_IP, 0, 1.9f};
    uint8_t *blocks = malloc(cordwood_rabitq_block_bytes(&quantizer, 1));
    uint8_t *extra = malloc(cordwood_rabitq_row_bytes(&quantizer));
    uint8_t *room = aligned_alloc(64, cordwood_rabitq_query_bytes(&quantizer));
    for (int sign = -1; sign <= 1; sign += 2) {
        for (size_t d = 0; d < MOST; d++) {
            row[d] = 1;
            query[d] = (float)sign;
        }
        memset(blocks, 0, cordwood_rabitq_block_bytes(&quantizer, 1));
        cordwood_rabitq_encode(&quantizer, center, row, 0, 1, blocks, extra);
        const cordwood_rabitq_list list = {1, blocks, extra, NULL, 0, NULL, 0};
        for (size_t index = 0; index < cordwood_rabitq_variant_count(); index++) {
            const cordwood_rabitq_kernels *kernels = cordwood_rabitq_variant(index);
            for (uint32_t bits = 1; bits <= 8 && kernels->supported(); bits += 7) {
                cordwood_rabitq_query prepared = {.exact_count = 0};
                cordwood_rabitq_estimate estimate;
                kernels->prepare(&quantizer, center, query, room, &prepared);
                kernels->estimates(&quantizer, &list, &prepared, bits, &estimate);
                CHECK(fabsf(estimate.distance + (float)(sign * MOST)) < 8, "variant %zu: %g", index,
                      estimate.distance);
            }
        }
    }
    free(center);
    free(row);
    free(query);
    free(blocks);
    free(extra);
    free(room);
}

/// What is too large or too small to be squared has finite factors, and is found by exact rows.
static void odd_rows(void) {
    enum { D = 64, N = 6 };
    static const float sizes[N] = {0, 3e38f, 1e20f, 1e-30f, 1e-45f, 1};
    for (int metric = CORDWOOD_L2; metric <= CORDWOOD_IP; metric++) {
        for (uint32_t bits = 1; bits <= 8; bits++) {
            cordwood_rabitq quantizer = {D, bits, (cordwood_metric)metric, 0, 1.9f};
            float rows[N][D], copy[N][D], center[D];
            uint64_t random = bits, ids[N];
            for (size_t d = 0; d < D; d++) {
                center[d] = metric == CORDWOOD_IP ? 1e19f : 0;
                for (size_t row = 0; row < N; row++) {
                    rows[row][d] = sizes[row] * (next_random(&random) & 1 ? 1.0f : -1.0f);
                    ids[row] = row;
                }
            }
            memcpy(copy, rows, sizeof rows);
            uint8_t *blocks = calloc(1, cordwood_rabitq_block_bytes(&quantizer, N));
            uint8_t *extra = calloc(1, N * cordwood_rabitq_row_bytes(&quantizer) + 1);
            uint8_t *room = aligned_alloc(64, cordwood_rabitq_query_bytes(&quantizer));
            cordwood_rabitq_encode(&quantizer, center, copy[0], 0, N, blocks, extra);
            CHECK(cordwood_rabitq_is_sound(&quantizer, blocks, extra, N), "%u bits, metric %d",
                  bits, metric);
            const cordwood_rabitq_list list = {N, blocks, extra, ids, 0, rows[0], D};
            for (size_t of = 0; of < N; of++) {
                const cordwood_f32_query floats = {rows[of], D, (cordwood_metric)metric, 0};
                cordwood_rabitq_query prepared = {.exact_count = 0};
                cordwood_rabitq_prepare(&quantizer, center, rows[of], room, &prepared);
                cordwood_neighbor found[N];
                cordwood_topk topk;
                cordwood_topk_init(&topk, found, N);
                cordwood_rabitq_scan(&quantizer, &list, &prepared, &floats, NULL, &topk);
                CHECK(topk.count == N, "%u bits, metric %d: %u found", bits, metric, topk.count);
            }
            free(blocks);
            free(extra);
            free(room);
        }
    }
    // A row of which nothing is known but that it is there comes before a worse one.
    enum { K = 1 };
    cordwood_rabitq quantizer = {D, 1, CORDWOOD_IP, 0, 1.9f};
    float rows[2][D], copy[2][D], center[D] = {0}, query[D];
    for (size_t d = 0; d < D; d++) {
        rows[0][d] = 1;
        rows[1][d] = 2e38f;
        query[d] = 1e-30f;
    }
    memcpy(copy, rows, sizeof rows);
    uint64_t ids[2] = {0, 1};
    uint8_t *blocks = calloc(1, cordwood_rabitq_block_bytes(&quantizer, 2));
    uint8_t *room = aligned_alloc(64, cordwood_rabitq_query_bytes(&quantizer));
    cordwood_rabitq_encode(&quantizer, center, copy[0], 0, 2, blocks, NULL);
    const cordwood_rabitq_list list = {2, blocks, NULL, ids, 0, rows[0], D};
    const cordwood_f32_query floats = {query, D, CORDWOOD_IP, 0};
    cordwood_rabitq_query prepared = {.exact_count = 0};
    cordwood_rabitq_prepare(&quantizer, center, query, room, &prepared);
    cordwood_neighbor found[K];
    cordwood_topk topk;
    cordwood_topk_init(&topk, found, K);
    cordwood_rabitq_scan(&quantizer, &list, &prepared, &floats, NULL, &topk);
    CHECK(topk.heap[0].id == 1, "found %d", (int)topk.heap[0].id);
    free(blocks);
    free(room);
}

static void unsound(void) {
    uint64_t random = 5;
    coded_list coded = make_list(128, 3, CORDWOOD_L2, 1.9f, &random);
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t at = 0; at < 3 * BLOCK; at++) {
        // In the second block, behind the last row too.
        uint8_t *place = (uint8_t *)(uintptr_t)block_of(&coded, BLOCK) + at * sizeof(float);
        float kept = float_at(place);
        memcpy(place, &bad[at % 3], sizeof(float));
        CHECK(!cordwood_rabitq_is_sound(&coded.quantizer, coded.blocks, coded.extra, ROWS), "%zu",
              at);
        memcpy(place, &kept, sizeof kept);
    }
    for (size_t at = 0; at < 2 * ROWS; at++) {
        uint8_t *place = coded.extra + at / 2 * coded.row_bytes + at % 2 * sizeof(float);
        float kept = float_at(place);
        memcpy(place, &bad[at % 3], sizeof(float));
        CHECK(!cordwood_rabitq_is_sound(&coded.quantizer, coded.blocks, coded.extra, ROWS), "%zu",
              at);
        memcpy(place, &kept, sizeof kept);
    }
    CHECK(cordwood_rabitq_is_sound(&coded.quantizer, coded.blocks, coded.extra, ROWS), "sound");
    free_list(&coded);
}

void test_rabitq(void) {
    uint64_t random = 23;
    for (size_t dimensions = 1; dimensions <= MOST_DIMENSIONS; dimensions++) {
        one_rotation(dimensions, &random);
    }
    spread();
    for (size_t dimensions = 64; dimensions <= MOST_DIMENSIONS + 64; dimensions += 64) {
        for (uint32_t bits = 1; bits <= CORDWOOD_RABITQ_MAXIMUM_BITS; bits++) {
            one_shape(dimensions, bits, CORDWOOD_L2, &random);
            one_shape(dimensions, bits, CORDWOOD_IP, &random);
        }
    }
    // Sums of 16 bits would overflow.
    one_shape(2112, 1, CORDWOOD_L2, &random);
    one_shape(8192, 4, CORDWOOD_IP, &random);
    CHECK(digest == golden, "%#llx", (unsigned long long)digest);
    largest_sums();
    odd_rows();
    unsound();
}
