// Product quantization on every instruction set, against plain sums in double precision and against
// each other bit for bit; and the shortlist against a sort.

#include "check.h"
#include "cordwood_pq.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_DIMENSIONS = 1100, ROOM = 4096 };

typedef struct {
    cordwood_pq pq;
    float *centroids, *center, *rows;
    size_t stride, count;
    uint8_t *blocks;
    size_t block_bytes, block_count;
} coded_rows;

static coded_rows make_rows(size_t dimensions, size_t width, uint32_t bits, bool has_terms,
                            size_t count, uint64_t *random) {
    coded_rows made = {.count = count};
    size_t groups = (dimensions + width - 1) / width, centroids = (size_t)1 << bits;
    made.stride = groups * width;
    made.centroids = malloc(made.stride * centroids * sizeof(float));
    for (size_t i = 0; i < made.stride * centroids; i++) {
        made.centroids[i] = next_float(random);
    }
    made.pq = (cordwood_pq){groups, width, bits, has_terms, made.centroids};
    made.center = malloc(made.stride * sizeof(float));
    made.rows = malloc(count * made.stride * sizeof(float));
    for (size_t d = 0; d < made.stride; d++) {
        made.center[d] = next_float(random);
    }
    for (size_t i = 0; i < count * made.stride; i++) {
        made.rows[i] = next_float(random);
    }
    made.block_bytes = cordwood_pq_block_bytes(&made.pq);
    made.block_count = (count + CORDWOOD_PQ_BLOCK - 1) / CORDWOOD_PQ_BLOCK;
    made.blocks = malloc(made.block_count * made.block_bytes);
    return made;
}

static void free_rows(coded_rows *rows) {
    free(rows->centroids);
    free(rows->center);
    free(rows->rows);
    free(rows->blocks);
}

/// Each group's code is the nearest centroid, and each term what the header says.
static void check_codes(const coded_rows *rows) {
    const cordwood_pq *pq = &rows->pq;
    const size_t centroids = (size_t)1 << pq->bits;
    float *decoded = malloc(rows->stride * sizeof(float));
    for (size_t row = 0; row < rows->count; row++) {
        const uint8_t *block = rows->blocks + row / CORDWOOD_PQ_BLOCK * rows->block_bytes;
        const float *values = rows->rows + row * rows->stride;
        cordwood_pq_decode(pq, block, row % CORDWOOD_PQ_BLOCK, decoded);
        double norm = 0, product = 0;
        for (size_t group = 0; group < pq->groups; group++) {
            double chosen = 0, least = INFINITY;
            for (size_t t = 0; t < pq->width; t++) {
                size_t d = group * pq->width + t;
                chosen += pow((double)decoded[d] - values[d], 2);
                norm += (double)values[d] * values[d];
                product += (double)rows->center[d] * decoded[d];
            }
            for (size_t c = 0; c < centroids; c++) {
                double distance = 0;
                for (size_t t = 0; t < pq->width; t++) {
                    size_t d = group * pq->width + t;
                    distance += pow((double)pq->centroids[d * centroids + c] - values[d], 2);
                }
                least = distance < least ? distance : least;
            }
            CHECK(chosen <= least + 1e-5, "%u bits, group %zu: %g, not %g", pq->bits, group, chosen,
                  least);
        }
        if (pq->has_terms) {
            float term;
            memcpy(&term,
                   block + rows->block_bytes - (CORDWOOD_PQ_BLOCK - row % CORDWOOD_PQ_BLOCK) * 4,
                   sizeof term);
            CHECK(fabs(term - norm - 2 * product) < 1e-4 * (double)rows->stride, "%g, not %g", term,
                  norm + 2 * product);
        }
    }
    free(decoded);
}

static int by_key(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

/// What a scan of the rows from `first` on leaves in a list that keeps all that is within `limit`.
static uint32_t scanned(const cordwood_pq_kernels *kernels, const cordwood_pq_query *query,
                        const coded_rows *rows, uint32_t first, const uint64_t *allowed,
                        float limit, uint64_t *keys) {
    cordwood_shortlist list;
    cordwood_shortlist_init(&list, keys, ROOM / 2, ROOM);
    list.threshold = limit;
    cordwood_pq_rows scanned = {rows->blocks, (uint32_t)rows->count, first, 0.5f, allowed};
    kernels->scan(query, &scanned, &list);
    qsort(keys, list.count, sizeof *keys, by_key);
    return list.count;
}

static void check_scan(const coded_rows *rows, uint64_t *random) {
    const cordwood_pq *pq = &rows->pq;
    float *vector = malloc(rows->stride * sizeof(float));
    for (size_t d = 0; d < rows->stride; d++) {
        vector[d] = next_float(random);
    }
    const float factor = pq->has_terms ? -2 : -1;
    const uint32_t first = (uint32_t)(next_random(random) % 100);
    uint64_t allowed[(ROOM + 200) / 64];
    for (size_t i = 0; i < sizeof allowed / 8; i++) {
        allowed[i] = next_random(random);
    }
    uint64_t *expected = malloc(3 * ROOM * sizeof *expected), *keys = malloc(ROOM * sizeof *keys);
    uint32_t expected_counts[3];
    float *decoded = malloc(rows->stride * sizeof(float));
    float middle = 0;
    for (size_t index = 0; index < cordwood_pq_variant_count(); index++) {
        const cordwood_pq_kernels *kernels = cordwood_pq_variant(index);
        if (!kernels->supported()) {
            continue;
        }
        uint8_t *blocks = malloc(rows->block_count * rows->block_bytes);
        kernels->encode(pq, rows->rows, rows->stride, rows->count, rows->center, blocks);
        CHECK(memcmp(blocks, rows->blocks, rows->block_count * rows->block_bytes) == 0,
              "variant %zu encodes %u bits in another way", index, pq->bits);
        free(blocks);
        float *floats = malloc(cordwood_pq_table_floats(pq) * sizeof(float));
        uint8_t *bytes = malloc(cordwood_pq_table_bytes(pq) + 1);
        cordwood_pq_query query;
        kernels->prepare(pq, vector, factor, floats, bytes, &query);
        for (int way = 0; way < 3; way++) {
            // All of them, those that are allowed, and the nearer half.
            uint32_t count = scanned(kernels, &query, rows, first, way == 1 ? allowed : NULL,
                                     way == 2 ? middle : INFINITY, keys);
            if (index == 0) {
                memcpy(expected + way * ROOM, keys, count * sizeof *keys);
                expected_counts[way] = count;
                if (way == 0) {
                    CHECK(count == rows->count, "%u of %zu rows", count, rows->count);
                    middle = cordwood_key_distance(keys[count / 2]);
                }
            } else {
                CHECK(count == expected_counts[way] &&
                          memcmp(expected + way * ROOM, keys, count * sizeof *keys) == 0,
                      "variant %zu differs: %u bits, %zu groups, way %d", index, pq->bits,
                      pq->groups, way);
            }
            for (uint32_t i = 0; i < count; i++) {
                uint32_t place = (uint32_t)keys[i];
                CHECK(place >= first && place < first + rows->count, "place %u", place);
                CHECK(way != 1 || (allowed[place / 64] >> place % 64 & 1), "%u not allowed", place);
                CHECK(way != 2 || cordwood_key_distance(keys[i]) <= middle, "beyond the limit");
                const uint8_t *block =
                    rows->blocks + (place - first) / CORDWOOD_PQ_BLOCK * rows->block_bytes;
                size_t row = (place - first) % CORDWOOD_PQ_BLOCK;
                cordwood_pq_decode(pq, block, row, decoded);
                double distance = 0.5;
                if (pq->has_terms) {
                    float term;
                    memcpy(&term, block + rows->block_bytes - (CORDWOOD_PQ_BLOCK - row) * 4, 4);
                    distance += term;
                }
                for (size_t d = 0; d < rows->stride; d++) {
                    distance += (double)factor * vector[d] * decoded[d];
                }
                double off = fabs(distance - cordwood_key_distance(keys[i]));
                double bound = 1e-4 * (double)rows->stride + 1e-3 +
                               (pq->bits == 4 ? 0.51 * query.scale * (double)pq->groups : 0);
                CHECK(off <= bound, "variant %zu, %u bits, %zu groups: off by %g of %g", index,
                      pq->bits, pq->groups, off, bound);
            }
        }
        uint32_t allowed_rows = 0;
        for (uint32_t place = first; place < first + rows->count; place++) {
            allowed_rows += allowed[place / 64] >> place % 64 & 1;
        }
        CHECK(expected_counts[1] == allowed_rows, "%u of %u allowed", expected_counts[1],
              allowed_rows);
        free(floats);
        free(bytes);
    }
    free(expected);
    free(keys);
    free(decoded);
    free(vector);
}

static void one_shape(size_t dimensions, size_t width, uint32_t bits, size_t count,
                      uint64_t *random) {
    for (int has_terms = 0; has_terms <= 1; has_terms++) {
        coded_rows rows = make_rows(dimensions, width, bits, has_terms, count, random);
        cordwood_pq_encode(&rows.pq, rows.rows, rows.stride, rows.count, rows.center, rows.blocks);
        check_codes(&rows);
        check_scan(&rows, random);
        free_rows(&rows);
    }
}

/// Sums of whole numbers at their largest do not overflow, however many groups there are, and
/// components that overflow do not trap.
static void extremes(void) {
    enum { GROUPS = CORDWOOD_PQ_MAXIMUM_GROUPS };
    float *centroids = calloc(GROUPS * 16, sizeof(float));
    float *vector = malloc(GROUPS * sizeof(float)), *row = malloc(GROUPS * sizeof(float));
    cordwood_pq pq = {GROUPS, 1, 4, false, centroids};
    for (int scale = 0; scale < 3; scale++) {
        const float large = (float[]){1, 1e30f, 3e38f}[scale];
        for (size_t d = 0; d < GROUPS; d++) {
            centroids[16 * d + 15] = 1;
            vector[d] = -large;
            row[d] = 1;
        }
        uint8_t *block = malloc(cordwood_pq_block_bytes(&pq));
        cordwood_pq_encode(&pq, row, GROUPS, 1, NULL, block);
        float *floats = malloc(cordwood_pq_table_floats(&pq) * sizeof(float));
        uint8_t *bytes = malloc(cordwood_pq_table_bytes(&pq));
        for (size_t index = 0; index < cordwood_pq_variant_count(); index++) {
            const cordwood_pq_kernels *kernels = cordwood_pq_variant(index);
            if (!kernels->supported()) {
                continue;
            }
            cordwood_pq_query query;
            kernels->prepare(&pq, vector, -1, floats, bytes, &query);
            uint64_t keys[64];
            cordwood_shortlist list;
            cordwood_shortlist_init(&list, keys, 1, 64);
            cordwood_pq_rows rows = {block, 1, 0, 0, NULL};
            kernels->scan(&query, &rows, &list);
            float distance = cordwood_key_distance(keys[0]);
            CHECK(list.count == 1, "%u rows", list.count);
            CHECK(scale > 0 || fabsf(distance - GROUPS) < 0.01f * GROUPS, "variant %zu: %g", index,
                  distance);
        }
        free(block);
        free(floats);
        free(bytes);
    }
    free(centroids);
    free(vector);
    free(row);
}

static void nearest_columns(uint64_t *random) {
    for (size_t columns = 1; columns <= 70; columns++) {
        enum { ROWS = 5 };
        float products[ROWS * 70], terms[70];
        for (size_t i = 0; i < ROWS * columns; i++) {
            // Few distinct ones, so that many are equal.
            products[i] = (float)(next_random(random) % 5);
        }
        for (size_t j = 0; j < columns; j++) {
            terms[j] = (float)(next_random(random) % 3);
        }
        for (size_t index = 0; index < cordwood_pq_variant_count(); index++) {
            const cordwood_pq_kernels *kernels = cordwood_pq_variant(index);
            if (!kernels->supported()) {
                continue;
            }
            float values[ROWS] = {INFINITY, INFINITY, INFINITY, -100, INFINITY};
            uint32_t numbers[ROWS] = {0, 0, 0, 7, 0};
            kernels->nearest(products, ROWS, columns, terms, 1000, values, numbers);
            for (size_t row = 0; row < ROWS; row++) {
                float least = INFINITY;
                uint32_t number = 0;
                for (size_t j = 0; j < columns; j++) {
                    float value = terms[j] - 2 * products[row * columns + j];
                    if (value < least) {
                        least = value;
                        number = 1000 + (uint32_t)j;
                    }
                }
                CHECK(row == 3 ? values[row] == -100 && numbers[row] == 7
                               : values[row] == least && numbers[row] == number,
                      "variant %zu, %zu columns, row %zu: %g at %u, not %g at %u", index, columns,
                      row, values[row], numbers[row], least, number);
            }
        }
    }
}

static void training(uint64_t *random) {
    for (uint32_t bits = 4; bits <= 8; bits += 4) {
        coded_rows rows = make_rows(6, 3, bits, false, 300, random);
        const size_t centroids = (size_t)1 << bits;
        double *expected = calloc(3 * centroids, sizeof *expected);
        uint32_t *expected_counts = calloc(centroids, sizeof *expected_counts);
        for (size_t index = 0; index < cordwood_pq_variant_count(); index++) {
            const cordwood_pq_kernels *kernels = cordwood_pq_variant(index);
            if (!kernels->supported()) {
                continue;
            }
            double *sums = calloc(3 * centroids, sizeof *sums), all = 0, wanted = 0;
            uint32_t *counts = calloc(centroids, sizeof *counts), rows_counted = 0;
            kernels->train(&rows.pq, 1, rows.rows + 3, rows.stride, rows.count, sums, counts);
            for (size_t i = 0; i < 3 * centroids; i++) {
                all += sums[i];
            }
            for (size_t row = 0; row < rows.count; row++) {
                for (size_t t = 0; t < 3; t++) {
                    wanted += rows.rows[row * rows.stride + 3 + t];
                }
            }
            for (size_t c = 0; c < centroids; c++) {
                rows_counted += counts[c];
            }
            CHECK(fabs(all - wanted) < 1e-9 && rows_counted == rows.count, "%g, not %g; %u rows",
                  all, wanted, rows_counted);
            if (index == 0) {
                memcpy(expected, sums, 3 * centroids * sizeof *sums);
                memcpy(expected_counts, counts, centroids * sizeof *counts);
            }
            CHECK(memcmp(expected, sums, 3 * centroids * sizeof *sums) == 0 &&
                      memcmp(expected_counts, counts, centroids * sizeof *counts) == 0,
                  "variant %zu trains in another way", index);
            free(sums);
            free(counts);
        }
        free(expected);
        free(expected_counts);
        free_rows(&rows);
    }
}

/// The list has the nearest of what came, in whatever order that was.
static void shortlists(uint64_t *random) {
    for (uint32_t kept = 1; kept <= 200; kept += 13) {
        enum { OFFERED = 1500 };
        uint64_t *all = malloc(OFFERED * sizeof *all);
        uint64_t *room = malloc((2 * kept + CORDWOOD_SHORTLIST_STEP) * sizeof *room);
        cordwood_shortlist list;
        cordwood_shortlist_init(&list, room, kept, 2 * kept + CORDWOOD_SHORTLIST_STEP);
        for (uint32_t i = 0; i < OFFERED; i++) {
            float distance = kept % 2 ? next_float(random) : (float)(next_random(random) % 9) - 4;
            distance = i % 97 == 5 ? NAN : i % 89 == 3 ? -INFINITY : distance;
            all[i] = cordwood_key(distance, i);
            CHECK(cordwood_key_distance(all[i]) == (isnan(distance) ? INFINITY : distance),
                  "%g became %g", distance, cordwood_key_distance(all[i]));
            if (!(distance > list.threshold)) {
                list.keys[list.count++] = all[i];
                if (list.count + CORDWOOD_SHORTLIST_STEP > list.room) {
                    cordwood_shortlist_cut(&list);
                }
            }
        }
        cordwood_shortlist_cut(&list);
        CHECK(list.count == kept, "%u of %u", list.count, kept);
        cordwood_keys_sort(list.keys, list.count);
        qsort(all, OFFERED, sizeof *all, by_key);
        CHECK(memcmp(all, list.keys, kept * sizeof *all) == 0, "not the %u nearest", kept);
        CHECK(list.threshold == cordwood_key_distance(all[kept - 1]), "threshold");
        free(all);
        free(room);
    }
}

void test_pq(void) {
    uint64_t random = 17;
    for (size_t dimensions = 1; dimensions <= MOST_DIMENSIONS;
         dimensions += dimensions < 70 ? 1 : 103) {
        size_t width = 1 + dimensions % 5;
        one_shape(dimensions, width, 4, 1 + dimensions % 150, &random);
        one_shape(dimensions, width, 8, 1 + dimensions % 70, &random);
    }
    extremes();
    nearest_columns(&random);
    training(&random);
    shortlists(&random);
}
