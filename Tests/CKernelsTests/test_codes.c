// Every instruction set's codes against sums in double precision, and against each other bit for
// bit.

#include "check.h"
#include "cordwood_graph.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DIMENSIONS = 700, ROWS = 9 };

typedef struct {
    cordwood_quantizer quantizer;
    float *centers, *steps;
    uint8_t *codes;
    float *decoded;
} coded_rows;

static coded_rows make_rows(size_t dimensions, uint32_t bits, cordwood_metric metric,
                            uint64_t *random) {
    coded_rows made;
    made.centers = malloc(dimensions * sizeof(float));
    made.steps = malloc(dimensions * sizeof(float));
    for (size_t d = 0; d < dimensions; d++) {
        made.centers[d] = next_float(random);
        made.steps[d] = 0.001f + fabsf(next_float(random)) / 128;
    }
    made.quantizer = (cordwood_quantizer){dimensions, bits, metric, 1, made.centers, made.steps};
    float *rows = malloc(ROWS * dimensions * sizeof(float));
    uint32_t order[ROWS];
    for (size_t row = 0; row < ROWS; row++) {
        order[row] = (uint32_t)(ROWS - 1 - row);
        for (size_t d = 0; d < dimensions; d++) {
            // Some are beyond what the codes can say.
            rows[row * dimensions + d] = made.centers[d] + 160 * made.steps[d] * next_float(random);
        }
    }
    size_t stride = cordwood_code_stride(&made.quantizer);
    made.codes = malloc(ROWS * stride);
    cordwood_encode(&made.quantizer, rows, dimensions, order, ROWS, made.codes);
    made.decoded = malloc(ROWS * dimensions * sizeof(float));
    for (size_t row = 0; row < ROWS; row++) {
        const float *source = rows + order[row] * dimensions;
        float *decoded = made.decoded + row * dimensions;
        cordwood_decode(&made.quantizer, made.codes + row * stride, decoded);
        const float half = (float)(1 << (bits - 1));
        for (size_t d = 0; d < dimensions; d++) {
            float step = made.steps[d], center = made.centers[d];
            float nearest =
                fminf(fmaxf(source[d], center - half * step), center + (half - 1) * step);
            CHECK(fabsf(decoded[d] - nearest) <= 0.501f * step + 1e-6f,
                  "%u bits, %zu dimensions: component %zu of row %zu: %g for %g", bits, dimensions,
                  d, row, decoded[d], source[d]);
        }
    }
    free(rows);
    return made;
}

static void free_rows(coded_rows *rows) {
    free(rows->centers);
    free(rows->steps);
    free(rows->codes);
    free(rows->decoded);
}

/// The distance in double precision, and how far the query's whole numbers can put it off.
static double exact(const coded_rows *rows, const float *query, const float *row, double *bound) {
    double sum = 0, greatest = 0, numbers = 0, magnitude = 1;
    const bool l2 = rows->quantizer.metric == CORDWOOD_L2;
    for (size_t d = 0; d < rows->quantizer.dimensions; d++) {
        double difference = (double)query[d] - row[d];
        sum += l2 ? difference * difference : (double)query[d] * row[d];
        double center = rows->centers[d], step = rows->steps[d];
        greatest = fmax(greatest, fabs((l2 ? query[d] - center : query[d]) * step));
        numbers += fabs((row[d] - center) / step);
        magnitude += fabs((double)query[d] * query[d]) + fabs((double)row[d] * row[d]) +
                     fabs((double)center * center);
    }
    *bound = (l2 ? 2 : 1) * 0.51 * greatest / 127 * numbers + magnitude * 1e-5;
    return l2 ? sum : 1 - sum;
}

static void one_shape(size_t dimensions, uint32_t bits, cordwood_metric metric, uint64_t *random) {
    coded_rows rows = make_rows(dimensions, bits, metric, random);
    const cordwood_quantizer *quantizer = &rows.quantizer;
    const size_t stride = cordwood_code_stride(quantizer);
    const size_t query_bytes = cordwood_code_query_bytes(quantizer);
    float *query = malloc(dimensions * sizeof(float));
    for (size_t d = 0; d < dimensions; d++) {
        query[d] = next_float(random);
    }
    const uint8_t *addresses[ROWS];
    for (size_t row = 0; row < ROWS; row++) {
        addresses[row] = rows.codes + row * stride;
    }
    float expected[ROWS];
    int8_t *expected_room = aligned_alloc(64, query_bytes);
    cordwood_code_query expected_query;
    for (size_t index = 0; index < cordwood_graph_variant_count(); index++) {
        const cordwood_graph_kernels *kernels = cordwood_graph_variant(index);
        if (!kernels->supported()) {
            continue;
        }
        int8_t *room = aligned_alloc(64, query_bytes);
        cordwood_code_query prepared;
        kernels->prepare(quantizer, query, room, &prepared);
        size_t count = 1 + dimensions % ROWS;
        float distances[ROWS + 1];
        distances[count] = 12345;
        kernels->distances(quantizer, &prepared, addresses, count, distances);
        CHECK(distances[count] == 12345, "wrote beyond %zu distances", count);
        kernels->distances(quantizer, &prepared, addresses, ROWS, distances);
        for (size_t row = 0; row < ROWS; row++) {
            double bound;
            double difference =
                fabs(distances[row] - exact(&rows, query, rows.decoded + row * dimensions, &bound));
            CHECK(difference <= bound,
                  "variant %zu, metric %d, %u bits, %zu dimensions: off by %g of %g", index, metric,
                  bits, dimensions, difference, bound);
        }
        if (index == 0) {
            memcpy(expected, distances, sizeof expected);
            memcpy(expected_room, room, query_bytes);
            expected_query = prepared;
        } else {
            CHECK(memcmp(expected, distances, sizeof expected) == 0 &&
                      memcmp(expected_room, room, query_bytes) == 0 &&
                      expected_query.shift == prepared.shift &&
                      memcmp(&expected_query.base, &prepared.base, 4) == 0 &&
                      memcmp(&expected_query.scale, &prepared.scale, 4) == 0,
                  "variant %zu differs from plain C: metric %d, %u bits, %zu dimensions", index,
                  metric, bits, dimensions);
        }
        free(room);
    }
    free(expected_room);
    free(query);
    free_rows(&rows);
}

/// The largest sums that there can be: all codes at one end, and all of a query's numbers.
static void extremes(void) {
    enum { MOST = 65536 };
    float *centers = calloc(MOST, sizeof(float)), *steps = malloc(MOST * sizeof(float));
    float *query = malloc(MOST * sizeof(float)), *row = malloc(MOST * sizeof(float));
    const uint32_t order[] = {0};
    for (int sign = -1; sign <= 1; sign += 2) {
        for (size_t d = 0; d < MOST; d++) {
            steps[d] = 1;
            query[d] = (float)sign;
            row[d] = 1000;
        }
        cordwood_quantizer quantizer = {MOST, 8, CORDWOOD_IP, 0, centers, steps};
        uint8_t *codes = malloc(cordwood_code_stride(&quantizer));
        cordwood_encode(&quantizer, row, MOST, order, 1, codes);
        int8_t *room = aligned_alloc(64, cordwood_code_query_bytes(&quantizer));
        for (size_t index = 0; index < cordwood_graph_variant_count(); index++) {
            const cordwood_graph_kernels *kernels = cordwood_graph_variant(index);
            if (!kernels->supported()) {
                continue;
            }
            cordwood_code_query prepared;
            kernels->prepare(&quantizer, query, room, &prepared);
            const uint8_t *address = codes;
            float distance;
            kernels->distances(&quantizer, &prepared, &address, 1, &distance);
            CHECK(fabsf(distance + (float)sign * 127 * MOST) < 4, "variant %zu: %g", index,
                  distance);
        }
        free(codes);
        free(room);
    }
    free(centers);
    free(steps);
    free(query);
    free(row);
}

/// Nothing, what is not finite and what is too large to be squared do not trap.
static void odd_vectors(void) {
    enum { FEW = 5 };
    const float centers[FEW] = {0}, steps[FEW] = {1, 0x1p-100f, 1, 1e30f, 1};
    const float vectors[][FEW] = {
        {0, 0, 0, 0, 0}, {NAN, INFINITY, -INFINITY, 1, 0}, {3e38f, -3e38f, 3e38f, 3e38f, 1e-45f}};
    const uint32_t order[] = {0, 1, 2};
    for (uint32_t bits = 4; bits <= 8; bits += 4) {
        for (int metric = CORDWOOD_L2; metric <= CORDWOOD_IP; metric++) {
            cordwood_quantizer quantizer = {FEW, bits, (cordwood_metric)metric, 0, centers, steps};
            size_t stride = cordwood_code_stride(&quantizer);
            uint8_t *codes = malloc(3 * stride);
            cordwood_encode(&quantizer, vectors[0], FEW, order, 3, codes);
            int8_t *room = aligned_alloc(64, cordwood_code_query_bytes(&quantizer));
            cordwood_code_query prepared;
            cordwood_code_query_prepare(&quantizer, vectors[0], room, &prepared);
            const uint8_t *address = codes;
            float distance;
            cordwood_code_distances(&quantizer, &prepared, &address, 1, &distance);
            CHECK(distance == 0, "%u bits, metric %d: %g", bits, metric, distance);
            free(codes);
            free(room);
        }
    }
}

static void statistics(void) {
    const float rows[] = {1, -2, 0, 3, 4, 0, 5, 0, 0};
    float least[2], greatest[2], mean[2], deviation[2];
    cordwood_column_statistics(rows, 3, 3, 2, least, greatest, mean, deviation);
    CHECK(least[0] == 1 && least[1] == -2 && greatest[0] == 5 && greatest[1] == 4, "ends");
    CHECK(mean[0] == 3 && fabsf(mean[1] - 2.0f / 3) < 1e-6f, "%g %g", mean[0], mean[1]);
    CHECK(fabsf(deviation[0] - sqrtf(8.0f / 3)) < 1e-6f, "%g", deviation[0]);
}

void test_codes(void) {
    uint64_t random = 11;
    for (size_t dimensions = 1; dimensions <= DIMENSIONS; dimensions++) {
        for (uint32_t bits = 4; bits <= 8; bits += 4) {
            one_shape(dimensions, bits, dimensions % 2 ? CORDWOOD_L2 : CORDWOOD_IP, &random);
            one_shape(dimensions, bits, dimensions % 2 ? CORDWOOD_IP : CORDWOOD_L2, &random);
        }
    }
    extremes();
    odd_vectors();
    statistics();
}
