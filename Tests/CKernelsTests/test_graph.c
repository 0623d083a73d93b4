// Building and walking graphs: the same on every instruction set and however the work is divided,
// and what the nearest nodes are against a plain scan.

#include "check.h"
#include "cordwood_graph.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NODES = 600, DIMENSIONS = 24, DEGREE = 12, NEIGHBORS = 6, EF = 40, UPPER = 60 };

typedef struct {
    float *floats;
    cordwood_quantizer quantizer;
    float centers[DIMENSIONS], steps[DIMENSIONS];
    uint8_t *codes;
    cordwood_graph_rows rows;
} test_rows;

static void make_rows(test_rows *made, cordwood_metric metric, uint64_t *random) {
    made->floats = malloc(NODES * DIMENSIONS * sizeof(float));
    uint32_t *order = malloc(NODES * sizeof(uint32_t));
    for (size_t i = 0; i < NODES * DIMENSIONS; i++) {
        made->floats[i] = next_float(random);
    }
    for (uint32_t node = 0; node < NODES; node++) {
        order[node] = node;
    }
    for (size_t d = 0; d < DIMENSIONS; d++) {
        made->centers[d] = 0;
        made->steps[d] = 2.0f / 255;
    }
    made->quantizer = (cordwood_quantizer){DIMENSIONS, 8, metric, 0, made->centers, made->steps};
    size_t stride = cordwood_code_stride(&made->quantizer);
    made->codes = malloc(NODES * stride);
    cordwood_encode(&made->quantizer, made->floats, DIMENSIONS, order, NODES, made->codes);
    made->rows = (cordwood_graph_rows){CORDWOOD_ROW_CODES, made->codes, stride, &made->quantizer};
    free(order);
}

static void free_rows(test_rows *rows) {
    free(rows->floats);
    free(rows->codes);
}

static cordwood_graph_scratch make_scratch(uint32_t touched) {
    size_t room = (CORDWOOD_GRAPH_MAXIMUM_BEAM + 1) * DEGREE + 16;
    return (cordwood_graph_scratch){
        .pool = malloc((NODES + 1) * sizeof(cordwood_candidate)),
        .seen = calloc((NODES + 31) / 32, sizeof(uint32_t)),
        .touched = malloc((touched + 1) * sizeof(uint32_t)),
        .touched_capacity = touched,
        .nodes = malloc(room * sizeof(uint32_t)),
        .distances = malloc(room * sizeof(float)),
    };
}

static void free_scratch(cordwood_graph_scratch *scratch) {
    for (size_t word = 0; word < (NODES + 31) / 32; word++) {
        CHECK(scratch->seen[word] == 0, "a walk left word %zu of the seen", word);
    }
    free(scratch->pool);
    free(scratch->seen);
    free(scratch->touched);
    free(scratch->nodes);
    free(scratch->distances);
}

/// Builds two levels with the work of each step divided into `parts`.
static void build(const cordwood_graph_kernels *kernels, const test_rows *rows,
                  const cordwood_graph *graph, uint32_t parts) {
    size_t query_bytes = cordwood_code_query_bytes(&rows->quantizer);
    cordwood_graph_build_scratch scratch = {make_scratch(8),
                                            aligned_alloc(64, (DEGREE + 2) * query_bytes),
                                            malloc((DEGREE + 2) * sizeof(cordwood_code_query))};
    uint32_t *targets = malloc(NODES * NEIGHBORS * sizeof(uint32_t));
    cordwood_proposal *proposals = malloc(NODES * NEIGHBORS * sizeof(cordwood_proposal));
    cordwood_proposal *grouped = malloc(NODES * NEIGHBORS * sizeof(cordwood_proposal));
    uint32_t *starts = malloc((NODES + 1) * sizeof(uint32_t));
    for (uint32_t level = graph->level_count; level-- > 0;) {
        uint32_t count = graph->levels[level].count, last;
        memset(graph->levels[level].edges, 0xff,
               (size_t)count * graph->levels[level].degree * sizeof(uint32_t));
        for (uint32_t first = 1; first < count; first = last) {
            last = first + first < first + 50 ? first + first : first + 50;
            last = last < count ? last : count;
            cordwood_graph_build step = {graph,     &rows->rows, level, first, last,
                                         NEIGHBORS, EF,          3,     1,     targets,
                                         proposals, grouped,     starts};
            for (uint32_t part = 0; part < parts; part++) {
                uint32_t size = last - first;
                kernels->propose(&step, first + size * part / parts,
                                 first + size * (part + 1) / parts, &scratch);
            }
            cordwood_graph_group(&step);
            CHECK(starts[0] == 0, "starts at %u", starts[0]);
            for (uint32_t part = parts; part-- > 0;) {
                kernels->accept(&step, first * part / parts, first * (part + 1) / parts, &scratch);
            }
        }
    }
    free_scratch(&scratch.walk);
    free(scratch.components);
    free(scratch.queries);
    free(targets);
    free(proposals);
    free(grouped);
    free(starts);
}

static double exact_distance(const test_rows *rows, const float *query, uint32_t node) {
    double sum = 0;
    for (size_t d = 0; d < DIMENSIONS; d++) {
        double a = query[d], b = rows->floats[node * DIMENSIONS + d];
        sum += rows->quantizer.metric == CORDWOOD_L2 ? (a - b) * (a - b) : -a * b;
    }
    return sum;
}

/// Of the ten nearest by a plain scan, how many are among the first ten of the pool.
static uint32_t hits(const test_rows *rows, const float *query, const cordwood_candidate *pool,
                     uint32_t count) {
    uint32_t found = 0;
    for (uint32_t i = 0; i < count && i < 10; i++) {
        uint32_t nearer = 0;
        double distance = exact_distance(rows, query, pool[i].node);
        for (uint32_t node = 0; node < NODES; node++) {
            nearer += exact_distance(rows, query, node) < distance;
        }
        found += nearer < 10;
    }
    return found;
}

static void check_pool(const cordwood_candidate *pool, uint32_t count) {
    bool present[NODES] = {false};
    for (uint32_t i = 0; i < count; i++) {
        CHECK(pool[i].node < NODES && !present[pool[i].node], "node %u again", pool[i].node);
        present[pool[i].node] = true;
        CHECK(i == 0 || pool[i - 1].distance <= pool[i].distance, "the pool is not sorted");
    }
}

static void walks(const cordwood_graph_kernels *kernels, const test_rows *rows,
                  const cordwood_graph *graph, uint64_t random) {
    cordwood_graph_scratch scratch = make_scratch(8);
    cordwood_graph_scratch plain = make_scratch(1000);
    int8_t *room = aligned_alloc(64, cordwood_code_query_bytes(&rows->quantizer));
    cordwood_graph_rows floats = {CORDWOOD_ROW_F32, (const uint8_t *)rows->floats,
                                  DIMENSIONS * sizeof(float), NULL};
    uint32_t by_codes = 0, by_floats = 0;
    for (int i = 0; i < 40; i++) {
        float vector[DIMENSIONS];
        for (size_t d = 0; d < DIMENSIONS; d++) {
            vector[d] = next_float(&random);
        }
        cordwood_f32_query float_query = {vector, DIMENSIONS, rows->quantizer.metric, 0};
        cordwood_code_query code_query;
        kernels->prepare(&rows->quantizer, vector, room, &code_query);
        cordwood_graph_query query = {&float_query, &code_query};
        uint32_t ef = 10 + (uint32_t)(random % 90), beam = 1 + (uint32_t)(random % 16);
        uint32_t count = kernels->search(graph, &rows->rows, &query, 0, ef, beam, &scratch);
        CHECK(count == ef, "%u candidates of %u", count, ef);
        check_pool(scratch.pool, count);
        by_codes += hits(rows, vector, scratch.pool, count);
        uint32_t same =
            cordwood_graph_variant(0)->search(graph, &rows->rows, &query, 0, ef, beam, &plain);
        CHECK(same == count && memcmp(scratch.pool, plain.pool, count * sizeof *plain.pool) == 0,
              "plain C finds others, ef %u, beam %u", ef, beam);
        count = kernels->search(graph, &floats, &query, 0, ef, beam, &scratch);
        check_pool(scratch.pool, count);
        by_floats += hits(rows, vector, scratch.pool, count);
    }
    CHECK(by_codes > 340 && by_floats > 340, "metric %d: of 400 found %u by codes, %u by floats",
          rows->quantizer.metric, by_codes, by_floats);
    free(room);
    free_scratch(&scratch);
    free_scratch(&plain);
}

/// Walks that go around what is forbidden keep none of it but where they began, find the nearest
/// that are allowed, and are the same on every instruction set.
static void filtered_walks(const cordwood_graph_kernels *kernels, const test_rows *rows,
                           const cordwood_graph *graph, uint64_t random) {
    cordwood_graph_scratch scratch = make_scratch(8), plain = make_scratch(1000);
    int8_t *room = aligned_alloc(64, cordwood_code_query_bytes(&rows->quantizer));
    uint32_t found = 0, wanted = 0;
    for (int i = 0; i < 40; i++) {
        uint64_t allowed[(NODES + 63) / 64] = {0};
        float vector[DIMENSIONS], distances[NODES];
        for (size_t d = 0; d < DIMENSIONS; d++) {
            vector[d] = next_float(&random);
        }
        cordwood_code_query prepared;
        kernels->prepare(&rows->quantizer, vector, room, &prepared);
        uint32_t one_in = 2 + (uint32_t)i % 6, kept = 0;
        float nearest[10];
        for (uint32_t node = 0; node < NODES; node++) {
            next_float(&random);
            if ((random >> 33) % one_in == 0) {
                allowed[node / 64] |= 1ull << node % 64;
                const uint8_t *row = rows->codes + node * rows->rows.stride;
                kernels->distances(&rows->quantizer, &prepared, &row, 1, &distances[kept++]);
            }
        }
        for (uint32_t k = 0; k < 10; k++) {
            uint32_t least = k;
            for (uint32_t other = k; other < kept; other++) {
                least = distances[other] < distances[least] ? other : least;
            }
            nearest[k] = distances[least];
            distances[least] = distances[k];
        }
        cordwood_graph_query query = {NULL, &prepared};
        cordwood_graph_filter filter = {allowed, 1 + (uint32_t)i % DEGREE};
        uint32_t beam = 1 + (uint32_t)(random % 16);
        uint32_t count =
            kernels->search_allowed(graph, &rows->rows, &query, 60, beam, &filter, &scratch);
        check_pool(scratch.pool, count);
        for (uint32_t at = 0; at < count; at++) {
            uint32_t node = scratch.pool[at].node;
            bool is_allowed = allowed[node / 64] >> node % 64 & 1;
            CHECK(is_allowed || at + 1 == count || node < UPPER, "node %u is forbidden", node);
            found += is_allowed && scratch.pool[at].distance <= nearest[9];
        }
        wanted += 10;
        uint32_t same = cordwood_graph_variant(0)->search_allowed(graph, &rows->rows, &query, 60,
                                                                  beam, &filter, &plain);
        CHECK(same == count && memcmp(scratch.pool, plain.pool, count * sizeof *plain.pool) == 0,
              "plain C finds others under a filter");
    }
    CHECK(found * 100 > wanted * 85, "under filters found %u of %u", found, wanted);
    free(room);
    free_scratch(&scratch);
    free_scratch(&plain);
}

/// The bits of nodes follow from those of their vectors.
static void node_bits(uint64_t random) {
    enum { MANY = 1000 };
    for (int round = 0; round < 50; round++) {
        uint32_t starts[MANY + 1] = {0}, shared[MANY], shared_count = 0;
        uint32_t nodes = 1 + (uint32_t)(random % MANY), every = 1 + (uint32_t)round * 7;
        for (uint32_t node = 0; node < nodes; node++) {
            next_float(&random);
            uint32_t vectors = (random >> 33) % every == 0 ? 2 + (uint32_t)(random >> 60) : 1;
            starts[node + 1] = starts[node] + vectors;
            if (vectors > 1) {
                shared[shared_count++] = node;
            }
        }
        uint64_t *vectors = calloc(starts[nodes] / 64 + 1, sizeof *vectors);
        uint64_t bits[MANY / 64 + 1];
        memset(bits, 0xff, sizeof bits);
        for (uint32_t vector = 0; vector < starts[nodes]; vector++) {
            next_float(&random);
            vectors[vector / 64] |= (uint64_t)((random >> 33) % 3 == 0) << vector % 64;
        }
        cordwood_graph_level level = {nodes, 1, NULL};
        cordwood_hnsw index = {.graph = {&level, 1}, .starts = starts};
        uint32_t merged = cordwood_hnsw_filter_nodes(&index, vectors, shared, shared_count, bits),
                 left = 0;
        for (uint32_t node = 0; node < nodes; node++) {
            bool any = false;
            for (uint32_t vector = starts[node]; vector < starts[node + 1]; vector++) {
                bool is_set = vectors[vector / 64] >> vector % 64 & 1;
                left += is_set && any;
                any = any || is_set;
            }
            CHECK((bits[node / 64] >> node % 64 & 1) == any, "node %u of %u", node, nodes);
        }
        CHECK(merged == left, "%u bits fewer, counted %u", left, merged);
        CHECK(nodes % 64 == 0 || bits[nodes / 64] >> nodes % 64 == 0, "bits behind the last node");
        free(vectors);
    }
}

/// The same neighbours at the same distances, to the bit; what lies between them is anything.
static bool are_equal(const cordwood_neighbor *found, const cordwood_neighbor *expected,
                      uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (found[i].id != expected[i].id ||
            memcmp(&found[i].distance, &expected[i].distance, sizeof found[i].distance) != 0) {
            return false;
        }
    }
    return true;
}

/// Queries that share a scan find what each finds alone, to the bit, whatever the shape of what is
/// allowed: around the sizes of groups, tiles and blocks, and of probes.
static void shared_scans(cordwood_metric metric, uint32_t bits, uint64_t random) {
    enum { ROWS = 700, QUERIES = 7, KEPT = 9, REFINED = 12, WORDS = (ROWS + 63) / 64 };
    const uint32_t allowed_counts[] = {1, 15, 16, 17, 63, 64, 65, 255, 256, 257, 513, ROWS};
    for (size_t dimensions = 1; dimensions <= 70; dimensions += dimensions < 10 ? 1 : 15) {
        float *floats = malloc((ROWS + QUERIES) * dimensions * sizeof(float));
        for (size_t i = 0; i < (ROWS + QUERIES) * dimensions; i++) {
            floats[i] = next_float(&random);
        }
        float *centers = malloc(2 * dimensions * sizeof(float)), *steps = centers + dimensions;
        for (size_t d = 0; d < dimensions; d++) {
            centers[d] = next_float(&random) / 8;
            steps[d] = 2.0f / (float)((1 << bits) - 1);
        }
        cordwood_quantizer quantizer = {dimensions, bits, metric, 0, centers, steps};
        uint32_t order[ROWS];
        uint64_t ids[ROWS];
        for (uint32_t node = 0; node < ROWS; node++) {
            order[node] = node;
            ids[node] = 1000 + node;
        }
        size_t stride = cordwood_code_stride(&quantizer);
        uint8_t *codes = malloc(ROWS * stride);
        cordwood_encode(&quantizer, floats, dimensions, order, ROWS, codes);
        cordwood_graph_level level = {ROWS, 1, NULL};
        cordwood_hnsw index = {
            .graph = {&level, 1},
            .rows = {CORDWOOD_ROW_CODES, codes, stride, &quantizer},
            .dimensions = dimensions,
            .metric = metric,
            .ids = ids,
        };
        size_t query_bytes = cordwood_code_query_bytes(&quantizer);
        size_t block_bytes =
            CORDWOOD_FLAT_BLOCK / CORDWOOD_FLAT_GROUP * cordwood_flat_group_bytes(&quantizer);
        int8_t *components = aligned_alloc(64, (QUERIES + 1) * query_bytes);
        uint64_t *keys = malloc(QUERIES * CORDWOOD_HNSW_SHARED_KEYS(REFINED) * sizeof(uint64_t));
        cordwood_hnsw_tiles *tiles = calloc(1, sizeof *tiles);
        tiles->codes = aligned_alloc(64, block_bytes);
        memset(tiles->codes, 0, block_bytes);
        cordwood_hnsw_scratch scratch = {.walk = make_scratch(1),
                                         .query = malloc(dimensions * sizeof(float)),
                                         .components = components + QUERIES * query_bytes};
        for (size_t i = 0; i < sizeof allowed_counts / sizeof allowed_counts[0]; i++) {
            const uint32_t allowed = allowed_counts[i];
            uint64_t bitmap[WORDS] = {0};
            for (uint32_t set = 0; set < allowed;) {
                uint32_t node = (uint32_t)(next_random(&random) % ROWS);
                set += !(bitmap[node / 64] >> node % 64 & 1);
                bitmap[node / 64] |= 1ull << node % 64;
            }
            cordwood_hnsw_filter filter = {bitmap, bitmap};
            cordwood_hnsw_shared_query queries[QUERIES];
            cordwood_topk found[QUERIES];
            cordwood_neighbor found_room[QUERIES][KEPT], expected_room[KEPT];
            size_t count = 1 + i % QUERIES;
            for (size_t q = 0; q < count; q++) {
                cordwood_topk_init(&found[q], found_room[q], KEPT);
                queries[q] = (cordwood_hnsw_shared_query){
                    .vector = floats + (ROWS + q) * dimensions,
                    .components = components + q * query_bytes,
                    .keys = keys + q * CORDWOOD_HNSW_SHARED_KEYS(REFINED),
                    .topk = &found[q]};
            }
            scratch.walk.distance_count = 0;
            cordwood_hnsw_scan_shared(&index, allowed == ROWS ? NULL : &filter, queries, count,
                                      REFINED, tiles, &scratch);
            CHECK(scratch.walk.distance_count == allowed, "%u rows allowed, %llu gathered", allowed,
                  (unsigned long long)scratch.walk.distance_count);
            for (size_t q = 0; q < count; q++) {
                cordwood_topk expected;
                cordwood_topk_init(&expected, expected_room, KEPT);
                cordwood_hnsw_scan(&index, queries[q].vector, &filter, REFINED, &scratch,
                                   &expected);
                CHECK(expected.count == (allowed < KEPT ? allowed : KEPT), "a scan finds %u",
                      expected.count);
                cordwood_topk_sort(&expected);
                cordwood_topk_sort(&found[q]);
                CHECK(found[q].count == expected.count &&
                          are_equal(found_room[q], expected_room, expected.count),
                      "%zu dimensions, %u bits, %u allowed: query %zu of %zu finds others",
                      dimensions, bits, allowed, q, count);
            }
        }
        free_scratch(&scratch.walk);
        free(scratch.query);
        free(tiles->codes);
        free(tiles);
        free(keys);
        free(components);
        free(codes);
        free(centers);
        free(floats);
    }
}

/// A graph whose edges lead where they may not is told.
static void soundness(cordwood_graph *graph) {
    CHECK(cordwood_graph_is_sound(graph), "the graph is sound");
    cordwood_graph_level *levels = (cordwood_graph_level *)graph->levels;
    uint32_t *edge = &levels[0].edges[(size_t)(NODES - 1) * DEGREE], kept = *edge;
    *edge = NODES;
    CHECK(!cordwood_graph_is_sound(graph), "an edge to no node");
    *edge = CORDWOOD_NO_NODE;
    CHECK(edge[1] == CORDWOOD_NO_NODE || !cordwood_graph_is_sound(graph), "a hole in a list");
    *edge = kept;
    edge = &levels[1].edges[3];
    kept = *edge;
    *edge = UPPER;
    CHECK(!cordwood_graph_is_sound(graph), "an edge that leaves its level");
    *edge = kept;
    levels[1].count = NODES + 1;
    CHECK(!cordwood_graph_is_sound(graph), "a level larger than the one below");
    levels[1].count = 0;
    CHECK(!cordwood_graph_is_sound(graph), "a level of nothing");
    levels[1].count = UPPER;
    levels[0].degree = CORDWOOD_GRAPH_MAXIMUM_DEGREE + 1;
    CHECK(!cordwood_graph_is_sound(graph), "a degree beyond the cap");
    levels[0].degree = DEGREE;
    cordwood_graph none = {graph->levels, 0};
    CHECK(!cordwood_graph_is_sound(&none), "no level");
    CHECK(cordwood_graph_is_sound(graph), "all put back");
}

/// A list that names a node twice, as a damaged file may, does not make a result of two.
static void repeated_edges(const cordwood_graph_kernels *kernels, const test_rows *rows) {
    uint32_t edges[] = {1, 1, 1, 0, 0, 0};
    cordwood_graph_level level = {2, 3, edges};
    cordwood_graph graph = {&level, 1};
    cordwood_graph_scratch scratch = make_scratch(8);
    int8_t *room = aligned_alloc(64, cordwood_code_query_bytes(&rows->quantizer));
    cordwood_code_query prepared;
    kernels->prepare(&rows->quantizer, rows->floats, room, &prepared);
    cordwood_graph_query query = {NULL, &prepared};
    uint32_t count = kernels->search(&graph, &rows->rows, &query, 0, 8, 2, &scratch);
    CHECK(count == 2 && scratch.pool[0].node != scratch.pool[1].node, "%u candidates", count);
    free(room);
    free_scratch(&scratch);
}

/// Whether a list has a node.
static bool has(const uint32_t *list, uint32_t node) {
    for (uint32_t i = 0; i < DEGREE && list[i] != CORDWOOD_NO_NODE; i++) {
        if (list[i] == node) {
            return true;
        }
    }
    return false;
}

/// Merges random lists: what fits is all kept, what does not is chosen from, the nearest first; the
/// same on every instruction set and in any parts; an edge out of range is refused.
static void merging(const cordwood_graph_kernels *kernels, const test_rows *rows, bool is_first,
                    uint32_t *expected, uint64_t random) {
    uint32_t *lists = malloc(2 * NODES * DEGREE * sizeof(uint32_t));
    uint32_t *merged = malloc(NODES * DEGREE * sizeof(uint32_t));
    for (size_t list = 0; list < 2 * NODES; list++) {
        size_t length = next_random(&random) % (DEGREE + 1);
        for (size_t i = 0; i < DEGREE; i++) {
            lists[list * DEGREE + i] = i < length ? next_random(&random) % NODES : CORDWOOD_NO_NODE;
        }
    }
    cordwood_graph_build_scratch scratch = {
        make_scratch(8),
        aligned_alloc(64, (DEGREE + 2) * cordwood_code_query_bytes(&rows->quantizer)),
        malloc((DEGREE + 2) * sizeof(cordwood_code_query))};
    const uint32_t begins = NODES / 3;
    cordwood_graph_merge merge = {&rows->rows,
                                  NODES,
                                  DEGREE,
                                  1.2f,
                                  begins,
                                  lists + 2 * begins * DEGREE,
                                  merged + begins * DEGREE};
    for (uint32_t parts = 1; parts <= 4; parts += 3) {
        const uint32_t count = NODES - begins;
        memset(merged, 0, NODES * DEGREE * sizeof(uint32_t));
        for (uint32_t part = 0; part < parts; part++) {
            CHECK(
                kernels->merge(&merge, count * part / parts, count * (part + 1) / parts, &scratch),
                "part %u of %u refused", part, parts);
        }
        if (is_first && parts == 1) {
            memcpy(expected, merged, NODES * DEGREE * sizeof(uint32_t));
        }
        CHECK(memcmp(expected, merged, NODES * DEGREE * sizeof(uint32_t)) == 0,
              "another merge in %u parts", parts);
    }
    for (uint32_t node = begins; node < NODES; node++) {
        const uint32_t *both = lists + 2 * node * DEGREE, *result = merged + node * DEGREE;
        uint32_t united = 0, kept = 0;
        for (uint32_t other = 0; other < NODES; other++) {
            bool is_there = other != node && (has(both, other) || has(both + DEGREE, other));
            united += is_there;
            kept += has(result, other);
            CHECK(is_there || !has(result, other), "node %u got the edge %u", node, other);
        }
        while (kept < DEGREE && result[kept] != CORDWOOD_NO_NODE) {
            kept++;
        }
        CHECK(united > DEGREE ? kept > 0 : kept == united, "node %u: %u of %u", node, kept, united);
        for (uint32_t i = 1; i < kept; i++) {
            const float *query = rows->floats + node * DIMENSIONS;
            CHECK(exact_distance(rows, query, result[i]) >
                      exact_distance(rows, query, result[i - 1]) - 0.2,
                  "node %u: edge %u is nearer than the one before", node, i);
        }
    }
    lists[2 * (NODES - 1) * DEGREE] = NODES;
    CHECK(!kernels->merge(&merge, 0, NODES - begins, &scratch), "an edge out of range");
    lists[2 * (NODES - 1) * DEGREE] = 0;
    lists[(2 * (NODES - 1) + 1) * DEGREE] = 0xfffffffe;
    CHECK(!kernels->merge(&merge, 0, NODES - begins, &scratch), "an edge far out of range");
    free_scratch(&scratch.walk);
    free(scratch.components);
    free(scratch.queries);
    free(lists);
    free(merged);
}

void test_graph(void) {
    uint64_t random = 21;
    node_bits(7);
    for (int metric = CORDWOOD_L2; metric <= CORDWOOD_IP; metric++) {
        test_rows rows;
        make_rows(&rows, (cordwood_metric)metric, &random);
        uint32_t *expected = malloc(NODES * DEGREE * sizeof(uint32_t));
        uint32_t *merged = malloc(NODES * DEGREE * sizeof(uint32_t));
        uint32_t *edges = malloc(NODES * DEGREE * sizeof(uint32_t));
        uint32_t *upper = malloc(UPPER * NEIGHBORS * sizeof(uint32_t));
        cordwood_graph_level levels[] = {{NODES, DEGREE, edges}, {UPPER, NEIGHBORS, upper}};
        cordwood_graph graph = {levels, 2};
        for (size_t index = 0; index < cordwood_graph_variant_count(); index++) {
            const cordwood_graph_kernels *kernels = cordwood_graph_variant(index);
            if (!kernels->supported()) {
                continue;
            }
            for (uint32_t parts = 1; parts <= 7; parts += 3) {
                build(kernels, &rows, &graph, parts);
                if (index == 0 && parts == 1) {
                    memcpy(expected, edges, NODES * DEGREE * sizeof(uint32_t));
                }
                CHECK(memcmp(expected, edges, NODES * DEGREE * sizeof(uint32_t)) == 0,
                      "variant %zu in %u parts builds another graph", index, parts);
            }
            walks(kernels, &rows, &graph, 5);
            filtered_walks(kernels, &rows, &graph, 6);
            repeated_edges(kernels, &rows);
            merging(kernels, &rows, index == 0, merged, 8);
        }
        soundness(&graph);
        shared_scans((cordwood_metric)metric, 8, 9);
        shared_scans((cordwood_metric)metric, 4, 10);
        free(expected);
        free(merged);
        free(edges);
        free(upper);
        free_rows(&rows);
    }
}
