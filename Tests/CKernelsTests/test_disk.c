// Product codes against sums in double precision, and walks over blocks against a plain search.

#include "check.h"
#include "cordwood_disk.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CENTROIDS = CORDWOOD_PRODUCT_CENTROIDS };

static float *random_rows(size_t count, size_t dimensions, uint64_t *random) {
    float *rows = malloc(count * dimensions * sizeof(float));
    for (size_t i = 0; i < count * dimensions; i++) {
        rows[i] = next_float(random);
    }
    return rows;
}

static void train(const cordwood_products *products, const float *rows, size_t count,
                  float *centroids) {
    float *scratch = malloc(cordwood_products_train_scratch(count) * sizeof(float));
    for (size_t part = 0; part < products->parts; part++) {
        cordwood_products_train(products, part, rows, products->dimensions, count, 4, scratch,
                                centroids);
    }
    free(scratch);
}

/// What a code stands for.
static void decode(const cordwood_products *products, const uint8_t *code, float *vector) {
    for (size_t part = 0; part < products->parts; part++) {
        for (size_t d = part * products->dimensions / products->parts;
             d < (part + 1) * products->dimensions / products->parts; d++) {
            vector[d] = products->centroids[d * CENTROIDS + code[part]];
        }
    }
}

static double distance(cordwood_metric metric, const float *a, const float *b, size_t count) {
    double sum = 0;
    for (size_t d = 0; d < count; d++) {
        sum += metric == CORDWOOD_L2 ? ((double)a[d] - b[d]) * ((double)a[d] - b[d])
                                     : -(double)a[d] * b[d];
    }
    return metric == CORDWOOD_L2 ? sum : 1 + sum;
}

static void test_codes_of(size_t dimensions, size_t parts, size_t count, cordwood_metric metric,
                          uint64_t *random) {
    float *rows = random_rows(count, dimensions, random);
    float *centroids = malloc(dimensions * CENTROIDS * sizeof(float));
    cordwood_products products = {dimensions, parts, metric, metric == CORDWOOD_L2 ? 0 : 1,
                                  centroids};
    train(&products, rows, count, centroids);
    uint32_t *order = malloc(count * sizeof(uint32_t));
    for (size_t i = 0; i < count; i++) {
        order[i] = (uint32_t)(count - 1 - i);
    }
    uint8_t *codes = malloc(count * parts);
    cordwood_products_encode(&products, rows, dimensions, order, count, codes);
    float *decoded = malloc(dimensions * sizeof(float));
    double error = 0, spread = 0;
    for (size_t i = 0; i < count; i++) {
        decode(&products, codes + i * parts, decoded);
        const float *row = rows + order[i] * dimensions;
        error += distance(CORDWOOD_L2, row, decoded, dimensions);
        spread += distance(CORDWOOD_L2, row, rows, dimensions);
    }
    CHECK(count <= CENTROIDS ? error < 1e-9 : error < 0.5 * spread,
          "%zu dimensions in %zu parts of %zu rows: %g of %g", dimensions, parts, count, error,
          spread);
    float *query = random_rows(1, dimensions, random);
    float *table = malloc(parts * CENTROIDS * sizeof(float));
    cordwood_products_table(&products, query, table);
    uint32_t nodes[21];
    float distances[22];
    for (size_t many = 0; many <= 21; many++) {
        for (size_t i = 0; i < many; i++) {
            nodes[i] = (uint32_t)(next_random(random) % count);
        }
        distances[many] = -77;
        cordwood_products_distances(&products, table, codes, nodes, many, distances);
        for (size_t i = 0; i < many; i++) {
            decode(&products, codes + nodes[i] * parts, decoded);
            double exact = distance(metric, query, decoded, dimensions);
            CHECK(fabs(distances[i] - exact) <= 2e-6 * (double)(dimensions + 4),
                  "%zu dimensions: %g for %g", dimensions, distances[i], exact);
        }
        CHECK(distances[many] == -77, "%zu distances", many);
    }
    free(rows), free(centroids), free(order), free(codes), free(decoded), free(query), free(table);
}

// MARK: Walks

enum { NODES = 300, DEGREE = 8, DIMENSIONS = 11, PARTS = 5, EF = 40 };

typedef struct {
    cordwood_disk disk;
    float *rows, *centroids;
    uint8_t *codes, *blocks;
    size_t block_bytes;
} disk_index;

static size_t bytes_of(cordwood_disk_element element) {
    return element == CORDWOOD_DISK_F32 ? 4 : element == CORDWOOD_DISK_F16 ? 2 : 1;
}

/// Writes a small whole number as the element says.
static void put(cordwood_disk_element element, uint8_t *bytes, size_t d, uint32_t whole) {
    // Half precision of 0, 1, … 7.
    static const uint16_t halves[] = {0, 0x3c00, 0x4000, 0x4200, 0x4400, 0x4500, 0x4600, 0x4700};
    float single = (float)whole;
    switch (element) {
    case CORDWOOD_DISK_F32:
        memcpy(bytes + 4 * d, &single, 4);
        break;
    case CORDWOOD_DISK_F16:
        memcpy(bytes + 2 * d, &halves[whole], 2);
        break;
    case CORDWOOD_DISK_U8:
        bytes[d] = (uint8_t)whole;
        break;
    }
}

/// Whole numbers of 0 to 7, whose distances have no error. Node i leads to the next few and to some
/// at random, so that all are reached.
static disk_index make_index(cordwood_disk_element element, uint32_t per_block, uint64_t *random) {
    disk_index made;
    made.rows = malloc(NODES * DIMENSIONS * sizeof(float));
    made.centroids = malloc(DIMENSIONS * CENTROIDS * sizeof(float));
    made.codes = malloc(NODES * PARTS);
    uint32_t order[NODES];
    for (size_t i = 0; i < NODES * DIMENSIONS; i++) {
        made.rows[i] = (float)(next_random(random) % 8);
    }
    cordwood_products products = {DIMENSIONS, PARTS, CORDWOOD_L2, 0, made.centroids};
    train(&products, made.rows, NODES, made.centroids);
    for (uint32_t i = 0; i < NODES; i++) {
        order[i] = i;
    }
    cordwood_products_encode(&products, made.rows, DIMENSIONS, order, NODES, made.codes);
    made.disk = (cordwood_disk){.products = products,
                                .codes = made.codes,
                                .node_count = NODES,
                                .degree = DEGREE,
                                .nodes_per_block = per_block,
                                .element = element,
                                .dimensions = DIMENSIONS,
                                .vector_count = NODES};
    const size_t stride = cordwood_disk_node_bytes(&made.disk);
    CHECK(stride == (16 + 4 * DEGREE + DIMENSIONS * bytes_of(element) + 7) / 8 * 8, "%zu", stride);
    made.block_bytes = per_block * stride;
    made.blocks = calloc((NODES + per_block - 1) / per_block, made.block_bytes);
    for (uint32_t i = 0; i < NODES; i++) {
        uint8_t *record = made.blocks + i / per_block * made.block_bytes + i % per_block * stride;
        uint64_t id = 1000 + i;
        uint32_t one = 1;
        memcpy(record, &id, 8);
        memcpy(record + 8, &i, 4);
        memcpy(record + 12, &one, 4);
        for (uint32_t edge = 0; edge < DEGREE; edge++) {
            uint32_t to =
                edge < 2 ? (i + edge + 1) % NODES : (uint32_t)(next_random(random) % NODES);
            to = edge == DEGREE - 1 && i % 3 == 0 ? CORDWOOD_NO_NODE : to;
            memcpy(record + 16 + 4 * edge, &to, 4);
        }
        for (size_t d = 0; d < DIMENSIONS; d++) {
            put(element, record + 16 + 4 * DEGREE, d, (uint32_t)made.rows[i * DIMENSIONS + d]);
        }
    }
    return made;
}

static void free_index(disk_index *index) {
    free(index->rows), free(index->centroids), free(index->codes), free(index->blocks);
}

typedef struct {
    cordwood_disk_walk walk;
    cordwood_topk topk;
    cordwood_neighbor heap[EF];
    float query[DIMENSIONS], table[PARTS * CENTROIDS], rows[16 * DIMENSIONS];
    cordwood_candidate pool[NODES + 1];
    uint32_t seen[(NODES + 31) / 32], touched[4];
    uint32_t nodes[16 * DEGREE + 16];
    float distances[16 * DEGREE + 16];
} search;

static void aim(search *search, const disk_index *index, uint32_t ef, uint32_t limit,
                const uint64_t *allowed, uint32_t excluded, uint64_t *random) {
    for (size_t d = 0; d < DIMENSIONS; d++) {
        search->query[d] = (float)(next_random(random) % 8);
    }
    cordwood_products_table(&index->disk.products, search->query, search->table);
    cordwood_topk_init(&search->topk, search->heap, limit);
    cordwood_disk_walk *walk = &search->walk;
    walk->index = &index->disk;
    walk->query = (cordwood_f32_query){search->query, DIMENSIONS, CORDWOOD_L2, 0};
    walk->table = search->table;
    walk->allowed = allowed;
    walk->topk = &search->topk;
    walk->excluded = excluded;
    walk->ef = ef;
    walk->rows = search->rows;
    walk->scratch = (cordwood_graph_scratch){.pool = search->pool,
                                             .seen = search->seen,
                                             .touched = search->touched,
                                             .touched_capacity = 4,
                                             .nodes = search->nodes,
                                             .distances = search->distances};
}

/// Reads what the walk asks for, with up to `width` blocks in flight, and returns how many; no
/// block twice.
static uint32_t run(search *search, const disk_index *index, uint32_t width,
                    cordwood_disk_visit_kind kind) {
    uint32_t flight[CORDWOOD_DISK_MAXIMUM_BEAM], count = 0, reads = 0;
    bool was_read[NODES] = {false};
    for (;;) {
        while (count < width) {
            uint32_t block = cordwood_disk_next(&search->walk);
            if (block == CORDWOOD_DISK_NO_BLOCK) {
                break;
            }
            CHECK(block * index->disk.nodes_per_block < NODES, "block %u", block);
            CHECK(!was_read[block], "block %u was read twice", block);
            was_read[block] = true;
            flight[count++] = block;
            reads++;
        }
        if (count == 0) {
            break;
        }
        bool sound = cordwood_disk_visit(&search->walk, flight[0],
                                         index->blocks + flight[0] * index->block_bytes, kind);
        CHECK(sound, "block %u", flight[0]);
        memmove(flight, flight + 1, --count * sizeof flight[0]);
    }
    cordwood_disk_end(&search->walk);
    for (size_t i = 0; i < sizeof search->seen / sizeof search->seen[0]; i++) {
        CHECK(search->seen[i] == 0, "a bit is left");
    }
    cordwood_topk_sort(&search->topk);
    return reads;
}

/// Compares what was found with all that there is.
static void check_found(const search *search, const disk_index *index, const uint64_t *allowed,
                        uint32_t excluded, uint32_t limit) {
    cordwood_topk expected;
    cordwood_neighbor heap[EF];
    cordwood_topk_init(&expected, heap, limit);
    for (uint32_t i = 0; i < NODES; i++) {
        if (i != excluded && (!allowed || (allowed[i / 64] >> i % 64 & 1))) {
            cordwood_topk_push(&expected,
                               (float)distance(CORDWOOD_L2, search->query,
                                               index->rows + i * DIMENSIONS, DIMENSIONS),
                               1000 + i);
        }
    }
    cordwood_topk_sort(&expected);
    CHECK(search->topk.count == expected.count, "%u of %u", search->topk.count, expected.count);
    for (uint32_t i = 0; i < expected.count && i < search->topk.count; i++) {
        CHECK(search->heap[i].id == heap[i].id && search->heap[i].distance == heap[i].distance,
              "place %u: %u at %g for %u at %g", i, (unsigned)search->heap[i].id,
              search->heap[i].distance, (unsigned)heap[i].id, heap[i].distance);
    }
}

static void test_walks(cordwood_disk_element element, uint32_t per_block, uint64_t *random) {
    disk_index index = make_index(element, per_block, random);
    search *search = calloc(1, sizeof *search);
    const uint32_t blocks = (NODES + per_block - 1) / per_block, starts[] = {7, 7, 250};
    for (uint32_t round = 0; round < 12; round++) {
        uint64_t bits[(NODES + 63) / 64];
        for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++) {
            bits[i] = next_random(random);
        }
        const uint64_t *allowed = round % 3 == 2 ? bits : NULL;
        uint32_t excluded = round % 4 == 1 ? round : CORDWOOD_NO_NODE;
        // With a pool for all of them every node is met, however many blocks are in flight.
        aim(search, &index, NODES, 10, allowed, excluded, random);
        cordwood_disk_begin(&search->walk, starts, 3);
        uint32_t reads = run(search, &index, 1 + round % 5, CORDWOOD_DISK_FOLLOW);
        // A block of nothing but the node that is passed over is not asked for.
        uint32_t expected = blocks - (per_block == 1 && excluded != CORDWOOD_NO_NODE);
        CHECK(reads == expected, "%u of %u blocks", reads, expected);
        check_found(search, &index, allowed, excluded, 10);
        // The same by codes alone.
        aim(search, &index, NODES, 10, allowed, excluded, random);
        cordwood_disk_scan(&search->walk, NULL);
        run(search, &index, 1 + round % 5, CORDWOOD_DISK_COMPARE);
        check_found(search, &index, allowed, excluded, 10);
        // A small pool reads less.
        aim(search, &index, 10, 10, NULL, CORDWOOD_NO_NODE, random);
        cordwood_disk_begin(&search->walk, starts, 3);
        reads = run(search, &index, 1 + round % 5, CORDWOOD_DISK_FOLLOW);
        CHECK(search->topk.count == 10 && (per_block > 20 || reads < blocks), "%u", reads);
    }
    free(search);
    free_index(&index);
}

/// Records that say what cannot be are refused.
static void test_hostile(uint64_t *random) {
    disk_index index = make_index(CORDWOOD_DISK_U8, 4, random);
    search *search = calloc(1, sizeof *search);
    static const struct {
        size_t at;
        uint32_t value;
    } forgeries[] = {{8, NODES},  {8, 0xffffffff}, {12, 0},
                     {12, NODES}, {16, NODES},     {16 + 4 * (DEGREE - 1), 0xfffffffe},
                     {12, 2}};
    for (size_t i = 0; i < sizeof forgeries / sizeof forgeries[0]; i++) {
        uint8_t *block = malloc(index.block_bytes);
        memcpy(block, index.blocks, index.block_bytes);
        memcpy(block + forgeries[i].at, &forgeries[i].value, 4);
        aim(search, &index, 20, 10, NULL, CORDWOOD_NO_NODE, random);
        uint32_t start = 0;
        cordwood_disk_begin(&search->walk, &start, 1);
        CHECK(cordwood_disk_next(&search->walk) == 0, "the start's block");
        CHECK(!cordwood_disk_visit(&search->walk, 0, block, CORDWOOD_DISK_FOLLOW), "forgery %zu",
              i);
        cordwood_disk_end(&search->walk);
        free(block);
    }
    free(search);
    free_index(&index);
}

void test_disk(void) {
    uint64_t random = 12;
    for (size_t dimensions = 1; dimensions <= 1100; dimensions += 1 + dimensions / 2) {
        for (size_t parts = 1; parts <= dimensions; parts += 1 + dimensions / 3) {
            test_codes_of(dimensions, parts, 40, CORDWOOD_L2, &random);
        }
        test_codes_of(dimensions, (dimensions + 1) / 2, dimensions > 99 ? 90 : 400,
                      dimensions % 2 ? CORDWOOD_L2 : CORDWOOD_IP, &random);
    }
    static const cordwood_disk_element elements[] = {CORDWOOD_DISK_F32, CORDWOOD_DISK_F16,
                                                     CORDWOOD_DISK_U8};
    for (size_t i = 0; i < 3; i++) {
        test_walks(elements[i], 1, &random);
        test_walks(elements[i], 7, &random);
        test_walks(elements[i], 45, &random);
    }
    test_hostile(&random);
}
