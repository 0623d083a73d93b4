// Every instruction set's distances, scan and tile against sums in double precision.

#include "check.h"
#include "cordwood_kernels.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/// Rows enough for two groups of sixteen, and a rest of every size.
enum { DIMENSIONS = 1100, ROWS = 37 };

static double exact(const cordwood_f32_query *query, const float *row, double *magnitude) {
    double sum = 0;
    *magnitude = fabs(query->base);
    for (size_t i = 0; i < query->dimensions; i++) {
        double a = query->query[i], b = row[i];
        double term = query->metric == CORDWOOD_L2 ? (a - b) * (a - b) : a * b;
        sum += term;
        *magnitude += fabs(term);
    }
    return query->metric == CORDWOOD_L2 ? sum : query->base - sum;
}

/// Distances within the bound of n roundings; the scan's are the same bits.
static void one_shape(const cordwood_f32_kernels *kernels, const cordwood_f32_query *query,
                      const float *base, size_t stride, size_t count) {
    const float *rows[ROWS];
    uint64_t ids[ROWS];
    float distances[ROWS + 1];
    distances[count] = 12345;
    for (size_t row = 0; row < count; row++) {
        rows[row] = base + row * stride;
        ids[row] = 1000 - row;
    }
    kernels->distances(query, rows, count, distances);
    CHECK(distances[count] == 12345, "%s wrote beyond %zu distances", kernels->isa, count);
    for (size_t row = 0; row < count; row++) {
        double magnitude;
        double difference = fabs(distances[row] - exact(query, rows[row], &magnitude));
        CHECK(difference <= magnitude * ((double)query->dimensions + 4) * 0x1p-24,
              "%s metric %d, %zu dimensions, row %zu of %zu: off by %g of %g", kernels->isa,
              query->metric, query->dimensions, row, count, difference, magnitude);
    }
    cordwood_neighbor room[ROWS];
    cordwood_topk topk;
    cordwood_topk_init(&topk, room, ROWS);
    cordwood_f32_rows scanned = {base, stride, count, ids};
    kernels->scan(query, &scanned, &topk);
    CHECK(topk.count == count, "%s kept %u of %zu", kernels->isa, topk.count, count);
    for (uint32_t i = 0; i < topk.count; i++) {
        size_t row = 1000 - room[i].id;
        CHECK(row < count && memcmp(&room[i].distance, &distances[row], sizeof(float)) == 0,
              "%s metric %d, %zu dimensions: scan and distances differ", kernels->isa,
              query->metric, query->dimensions);
    }
}

/// Zeros behind a query and a row change no bit of their distance, in a scan or alone.
static void padding(const cordwood_f32_kernels *kernels) {
    enum { most = 200, count = 21 };
    uint64_t random = 7, ids[count];
    for (size_t dimensions = 1; dimensions <= most; dimensions++) {
        const size_t padded = (dimensions + 15) / 16 * 16;
        float vectors[(count + 1) * most], zeros[(count + 1) * (most + 15)] = {0};
        for (size_t row = 0; row <= count; row++) {
            for (size_t i = 0; i < dimensions; i++) {
                float value = next_float(&random);
                vectors[row * dimensions + i] = value;
                zeros[row * padded + i] = value;
            }
            ids[row % count] = row % count;
        }
        for (int metric = CORDWOOD_L2; metric <= CORDWOOD_IP; metric++) {
            cordwood_neighbor room[2][count];
            for (int kind = 0; kind < 2; kind++) {
                const float *all = kind ? zeros : vectors;
                const size_t stride = kind ? padded : dimensions;
                cordwood_f32_query query = {all, stride, (cordwood_metric)metric, 1};
                cordwood_f32_rows rows = {all + stride, stride, count, ids};
                cordwood_topk topk;
                cordwood_topk_init(&topk, room[kind], count);
                kernels->scan(&query, &rows, &topk);
                cordwood_topk_sort(&topk);
            }
            for (size_t i = 0; i < count; i++) {
                CHECK(room[0][i].id == room[1][i].id &&
                          memcmp(&room[0][i].distance, &room[1][i].distance, 4) == 0,
                      "%s metric %d, %zu dimensions, rank %zu", kernels->isa, metric, dimensions,
                      i);
            }
        }
    }
}

/// Vectors end where their memory does, so that a tool that checks addresses sees every read
/// beyond an end, and start at every alignment of a float.
static void every_dimension(const cordwood_f32_kernels *kernels) {
    uint64_t random = 2;
    for (size_t dimensions = 1; dimensions <= DIMENSIONS; dimensions++) {
        size_t shift = dimensions % 17, stride = dimensions + dimensions % 3;
        size_t count = 1 + dimensions * 7 % ROWS;
        float *query = malloc((dimensions + shift) * sizeof(float));
        float *rows = malloc((shift + (count - 1) * stride + dimensions) * sizeof(float));
        for (size_t i = 0; i < dimensions + shift; i++) {
            query[i] = next_float(&random);
        }
        for (size_t i = 0; i < shift + (count - 1) * stride + dimensions; i++) {
            rows[i] = next_float(&random);
        }
        for (int metric = CORDWOOD_L2; metric <= CORDWOOD_IP; metric++) {
            cordwood_f32_query described = {query + shift, dimensions, (cordwood_metric)metric,
                                            (float)(dimensions % 2)};
            one_shape(kernels, &described, rows + shift, stride, count);
        }
        free(query);
        free(rows);
    }
}

/// A scan of many rows keeps what a push of every distance keeps, in several calls as in one.
static void scan_of_many(const cordwood_f32_kernels *kernels, uint32_t capacity) {
    enum { count = 3001, dimensions = 20, split = 1230 };
    static float rows[count * dimensions], query[dimensions], distances[count];
    static const float *addresses[count];
    static uint64_t ids[count];
    uint64_t random = 3;
    for (size_t i = 0; i < count * dimensions; i++) {
        rows[i] = (float)(next_random(&random) % 3); // Many ties.
    }
    for (size_t i = 0; i < dimensions; i++) {
        query[i] = (float)(next_random(&random) % 3);
    }
    for (size_t row = 0; row < count; row++) {
        ids[row] = next_random(&random);
        addresses[row] = rows + row * dimensions;
    }
    cordwood_neighbor *room = malloc(2 * capacity * sizeof *room);
    for (int metric = CORDWOOD_L2; metric <= CORDWOOD_IP; metric++) {
        cordwood_f32_query described = {query, dimensions, (cordwood_metric)metric, 0};
        cordwood_topk scanned, pushed;
        cordwood_topk_init(&scanned, room, capacity);
        cordwood_topk_init(&pushed, room + capacity, capacity);
        cordwood_f32_rows first = {rows, dimensions, split, ids};
        cordwood_f32_rows second = {rows + split * dimensions, dimensions, count - split,
                                    ids + split};
        kernels->scan(&described, &first, &scanned);
        kernels->scan(&described, &second, &scanned);
        kernels->distances(&described, addresses, count, distances);
        for (size_t row = 0; row < count; row++) {
            cordwood_topk_push(&pushed, distances[row], ids[row]);
        }
        cordwood_topk_sort(&scanned);
        cordwood_topk_sort(&pushed);
        for (uint32_t i = 0; i < capacity; i++) {
            CHECK(room[i].id == room[capacity + i].id &&
                      room[i].distance == room[capacity + i].distance,
                  "%s metric %d, capacity %u, rank %u", kernels->isa, metric, capacity, i);
        }
    }
    free(room);
}

/// Runs the function for given products, or the one that computes them.
static void run_tile(const cordwood_f32_kernels *kernels, bool fused,
                     const cordwood_f32_tile_input *input, cordwood_topk *topks) {
    if (!fused) {
        kernels->tile(input, topks);
        return;
    }
    cordwood_f32_tile_input without_products = *input;
    without_products.products = NULL;
    float *scratch = malloc(kernels->batch_scratch(input->dimensions) * sizeof(float));
    kernels->batch(&without_products, scratch, topks);
    free(scratch);
}

/// A tile whose bounds are as low as they may be returns what scans return; one whose bounds say
/// that a row is too far never offers that row.
static void tiles(const cordwood_f32_kernels *kernels, bool fused, size_t dimensions,
                  size_t count) {
    enum { most_queries = 29, stride = 48, capacity = 4, most = 100 };
    const size_t queries = most_queries - count % 12; // Last blocks of every width.
    float vectors[(most_queries + most) * stride], products[most_queries * (most + 3)];
    float query_terms[most_queries], row_terms[most];
    uint64_t ids[most], random = count + 4;
    for (size_t i = 0; i < (queries + most) * stride; i++) {
        vectors[i] = i % stride < dimensions ? next_float(&random) : NAN;
    }
    const float *rows = vectors + queries * stride;
    for (size_t row = 0; row < count; row++) {
        ids[row] = next_random(&random);
        row_terms[row] = (float)cordwood_f32_squared_norm(rows + row * stride, dimensions) - 1e-4f;
    }
    for (size_t query = 0; query < queries; query++) {
        const float *vector = vectors + query * stride;
        query_terms[query] = (float)cordwood_f32_squared_norm(vector, dimensions) - 1e-4f;
        for (size_t row = 0; row < count; row++) {
            cordwood_f32_query plain = {vector, dimensions, CORDWOOD_IP, 0};
            double magnitude;
            products[query * (count + 3) + row] =
                -(float)exact(&plain, rows + row * stride, &magnitude);
        }
    }
    for (int metric = CORDWOOD_L2; metric <= CORDWOOD_IP; metric++) {
        bool l2 = metric == CORDWOOD_L2;
        float base_terms[most_queries];
        for (size_t query = 0; query < queries; query++) {
            base_terms[query] = 1 - 1e-4f;
        }
        cordwood_neighbor room[2][most_queries][capacity];
        cordwood_topk tiled[most_queries], scanned;
        cordwood_f32_rows described = {rows, stride, count, ids};
        cordwood_f32_tile_input input = {vectors,
                                         stride,
                                         queries,
                                         dimensions,
                                         (cordwood_metric)metric,
                                         1,
                                         described,
                                         products,
                                         count + 3,
                                         l2 ? query_terms : base_terms,
                                         l2 ? row_terms : NULL,
                                         l2 ? -2.0f : -1.0f};
        for (size_t query = 0; query < queries; query++) {
            cordwood_topk_init(&tiled[query], room[0][query], capacity);
        }
        run_tile(kernels, fused, &input, tiled);
        for (size_t query = 0; query < queries; query++) {
            cordwood_f32_query single = {vectors + query * stride, dimensions,
                                         (cordwood_metric)metric, 1};
            cordwood_topk_init(&scanned, room[1][query], capacity);
            kernels->scan(&single, &described, &scanned);
            CHECK(tiled[query].count == scanned.count, "%s, %zu rows", kernels->isa, count);
            cordwood_topk_sort(&tiled[query]);
            cordwood_topk_sort(&scanned);
            for (uint32_t i = 0; i < scanned.count; i++) {
                CHECK(room[0][query][i].id == room[1][query][i].id &&
                          memcmp(&room[0][query][i].distance, &room[1][query][i].distance, 4) == 0,
                      "%s metric %d, %zu rows, query %zu, rank %u", kernels->isa, metric, count,
                      query, i);
            }
        }
        // Rows that would enter, but whose bounds say that they are too far, are passed over.
        float far[most_queries];
        for (size_t query = 0; query < queries; query++) {
            far[query] = 2e6f;
            cordwood_topk_init(&tiled[query], room[0][query], 1);
            cordwood_topk_push(&tiled[query], 1e6f, 5);
        }
        input.query_terms = far;
        run_tile(kernels, fused, &input, tiled);
        for (size_t query = 0; query < queries; query++) {
            CHECK(tiled[query].count == 1 && room[0][query][0].id == 5, "%s", kernels->isa);
        }
    }
}

/// Infinities of both signs in a sum: not a number, which counts as infinite.
static void overflow(const cordwood_f32_kernels *kernels) {
    enum { dimensions = 64, count = 6 };
    float rows[count * dimensions], query[dimensions];
    uint64_t ids[count];
    for (size_t i = 0; i < dimensions; i++) {
        query[i] = FLT_MAX;
    }
    for (size_t i = 0; i < count * dimensions; i++) {
        rows[i] = i % 2 ? FLT_MAX : -FLT_MAX;
    }
    for (size_t row = 0; row < count; row++) {
        ids[row] = row;
    }
    for (int metric = CORDWOOD_L2; metric <= CORDWOOD_IP; metric++) {
        cordwood_neighbor room[count];
        cordwood_topk topk;
        cordwood_topk_init(&topk, room, 5);
        cordwood_f32_query described = {query, dimensions, (cordwood_metric)metric, 0};
        cordwood_f32_rows scanned = {rows, dimensions, count, ids};
        kernels->scan(&described, &scanned, &topk);
        CHECK(topk.count == 5, "%s metric %d kept %u", kernels->isa, metric, topk.count);
    }
}

/// More rows than one tile of the fused kernel, at the widths where its tile shrinks to a panel and
/// to nothing.
static void batch_of_many(const cordwood_f32_kernels *kernels, size_t dimensions, size_t count) {
    enum { queries = 13, capacity = 3 };
    uint64_t random = dimensions;
    float *vectors = malloc((queries + count) * dimensions * sizeof(float));
    float *scratch = malloc(kernels->batch_scratch(dimensions) * sizeof(float));
    uint64_t *ids = malloc(count * sizeof(uint64_t));
    float terms[queries];
    for (size_t i = 0; i < (queries + count) * dimensions; i++) {
        vectors[i] = next_float(&random);
    }
    for (size_t row = 0; row < count; row++) {
        ids[row] = row;
    }
    cordwood_neighbor room[2][queries][capacity];
    cordwood_topk topks[queries], scanned;
    for (size_t query = 0; query < queries; query++) {
        terms[query] = -0.05f;
        cordwood_topk_init(&topks[query], room[0][query], capacity);
    }
    cordwood_f32_rows rows = {vectors + queries * dimensions, dimensions, count, ids};
    cordwood_f32_tile_input input = {.queries = vectors,
                                     .query_stride = dimensions,
                                     .query_count = queries,
                                     .dimensions = dimensions,
                                     .metric = CORDWOOD_IP,
                                     .rows = rows,
                                     .query_terms = terms,
                                     .factor = -1};
    kernels->batch(&input, scratch, topks);
    for (size_t query = 0; query < queries; query++) {
        cordwood_f32_query single = {vectors + query * dimensions, dimensions, CORDWOOD_IP, 0};
        cordwood_topk_init(&scanned, room[1][query], capacity);
        kernels->scan(&single, &rows, &scanned);
        cordwood_topk_sort(&topks[query]);
        cordwood_topk_sort(&scanned);
        for (size_t i = 0; i < capacity; i++) {
            CHECK(room[0][query][i].id == room[1][query][i].id, "%s, %zu dimensions, %zu rows",
                  kernels->isa, dimensions, count);
        }
    }
    free(vectors);
    free(scratch);
    free(ids);
}

static void single_vectors(void) {
    float vector[100], unit[100];
    uint64_t random = 6;
    for (size_t count = 1; count <= 100; count++) {
        double norm = 0;
        for (size_t i = 0; i < count; i++) {
            vector[i] = next_float(&random);
            norm += (double)vector[i] * vector[i];
        }
        CHECK(fabs(cordwood_f32_squared_norm(vector, count) - norm) <= 1e-14 * norm, "%zu", count);
        cordwood_f32_normalize(vector, count, unit);
        CHECK(fabs(cordwood_f32_squared_norm(unit, count) - 1) < 1e-6, "%zu", count);
        CHECK(cordwood_f32_first_not_finite(vector, count) == count, "%zu", count);
        for (size_t bad = 0; bad < count; bad += 7) {
            float kept = vector[bad];
            vector[bad] = bad % 2 ? NAN : -INFINITY;
            CHECK(cordwood_f32_first_not_finite(vector, count) == bad, "%zu of %zu", bad, count);
            vector[bad] = kept;
        }
    }
    float extremes[2] = {FLT_MAX, -FLT_MAX}, tiny[2] = {1e-45f, 0}, zeros[2] = {0, 0};
    cordwood_f32_normalize(extremes, 2, unit);
    CHECK(fabsf(unit[0] - (float)M_SQRT1_2) < 1e-7f && unit[1] == -unit[0], "extremes");
    cordwood_f32_normalize(tiny, 2, unit);
    CHECK(unit[0] == 1 && unit[1] == 0, "tiny");
    cordwood_f32_normalize(zeros, 2, unit);
    CHECK(unit[0] == 0 && unit[1] == 0, "zeros");
}

void test_f32(void) {
    for (size_t index = 0; index < cordwood_f32_variant_count(); index++) {
        const cordwood_f32_kernels *kernels = cordwood_f32_variant(index);
        if (!kernels->supported()) {
            printf("f32 %s: not on this processor\n", kernels->isa);
            continue;
        }
        every_dimension(kernels);
        padding(kernels);
        scan_of_many(kernels, 1);
        scan_of_many(kernels, 10);
        scan_of_many(kernels, 3001);
        for (size_t count = 1; count <= 100; count += count < 40 ? 1 : 20) {
            tiles(kernels, false, 19, count);
            if (kernels->batch) {
                tiles(kernels, true, 32, count);
                tiles(kernels, true, 1 + count % 48, count);
            }
        }
        if (kernels->batch) {
            batch_of_many(kernels, 64, 3333);
            batch_of_many(kernels, 3072, 70);
            CHECK(kernels->batch_scratch(3088) == 0, "no panel fits");
            batch_of_many(kernels, 50, 7000);
        }
        overflow(kernels);
    }
    single_vectors();
}
