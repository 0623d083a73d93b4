// The search of an inverted file, of floats and of 8-bit codes, against a plain reading of the same
// lists in double precision.

#include "check.h"
#include "cordwood_ivf.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAXIMUM_ROWS = 400, MAXIMUM_LISTS = 20, MAXIMUM_DIMENSIONS = 131, MAXIMUM_WANTED = 30 };
enum { KEY_ROOM = 2 * (MAXIMUM_ROWS + CORDWOOD_SHORTLIST_STEP) };

typedef struct {
    cordwood_ivf index;
    cordwood_quantizer quantizer;
    float centers[MAXIMUM_DIMENSIONS], steps[MAXIMUM_DIMENSIONS];
    float centroids[MAXIMUM_LISTS * MAXIMUM_DIMENSIONS], rows[MAXIMUM_ROWS * MAXIMUM_DIMENSIONS];
    uint32_t starts[MAXIMUM_LISTS + 1];
    uint64_t ids[MAXIMUM_ROWS];
    uint8_t *ranking_codes, *codes;
} lists;

static size_t query_bytes(const cordwood_quantizer *quantizer) {
    return (cordwood_code_query_bytes(quantizer) + 63) & ~(size_t)63;
}

static uint8_t *codes_of(const cordwood_quantizer *quantizer, const float *rows, uint32_t count) {
    uint32_t order[MAXIMUM_ROWS];
    for (uint32_t i = 0; i < count; i++) {
        order[i] = i;
    }
    uint8_t *codes = malloc((count + 1) * cordwood_code_stride(quantizer));
    cordwood_encode(quantizer, rows, quantizer->dimensions, order, count, codes);
    return codes;
}

static void make(lists *made, cordwood_metric metric, cordwood_list_kind kind, size_t dimensions,
                 uint32_t rows, uint32_t count, uint64_t *random) {
    for (size_t i = 0; i < count * dimensions; i++) {
        made->centroids[i] = next_float(random);
    }
    for (size_t i = 0; i < rows * dimensions; i++) {
        made->rows[i] = next_float(random);
    }
    // Which row is in which list is nobody's business here; some lists are empty.
    memset(made->starts, 0, sizeof(made->starts));
    for (uint32_t row = 0; row < rows; row++) {
        made->starts[1 + next_random(random) % count * (next_random(random) % 3 > 0)]++;
        made->ids[row] = row ^ 0x5555;
    }
    for (uint32_t list = 0; list < count; list++) {
        made->starts[list + 1] += made->starts[list];
    }
    for (size_t d = 0; d < dimensions; d++) {
        made->centers[d] = 0;
        made->steps[d] = 2.0f / 255;
    }
    made->quantizer = (cordwood_quantizer){dimensions, 8, metric, 0, made->centers, made->steps};
    made->ranking_codes = codes_of(&made->quantizer, made->centroids, count);
    made->codes = codes_of(&made->quantizer, made->rows, rows);
    made->index = (cordwood_ivf){.dimensions = dimensions,
                                 .metric = metric,
                                 .list_count = count,
                                 .centroids = made->centroids,
                                 .ranking = &made->quantizer,
                                 .ranking_codes = made->ranking_codes,
                                 .starts = made->starts,
                                 .kind = kind,
                                 .codes = made->codes,
                                 .quantizer = &made->quantizer,
                                 .exact = made->rows,
                                 .ids = made->ids};
}

static double distance(const lists *made, const float *query, uint32_t row) {
    double sum = 0;
    for (size_t d = 0; d < made->index.dimensions; d++) {
        double a = query[d], b = made->rows[row * made->index.dimensions + d];
        sum += made->index.metric == CORDWOOD_L2 ? (a - b) * (a - b) : -a * b;
    }
    return sum;
}

static bool is_set(const uint64_t *allowed, uint32_t place) {
    return !allowed || (allowed[place / 64] >> place % 64 & 1);
}

static int by_distance(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/// The distances of all allowed rows in the lists that a search has to read, least first.
static uint32_t expect(const lists *made, const float *query, uint32_t probes, uint32_t wanted,
                       const uint64_t *allowed, double *found) {
    const cordwood_ivf *index = &made->index;
    cordwood_code_query prepared;
    int8_t *room = aligned_alloc(64, query_bytes(index->ranking));
    cordwood_code_query_prepare(index->ranking, query, room, &prepared);
    bool was_read[MAXIMUM_LISTS] = {false};
    float ranks[MAXIMUM_LISTS];
    for (uint32_t list = 0; list < index->list_count; list++) {
        const uint8_t *row = index->ranking_codes + list * cordwood_code_stride(index->ranking);
        cordwood_code_distances(index->ranking, &prepared, &row, 1, ranks + list);
    }
    free(room);
    double read = 0;
    uint32_t count = 0;
    for (uint32_t turn = 0; turn < index->list_count; turn++) {
        if (read >= probes && count >= wanted) {
            break;
        }
        uint32_t next = MAXIMUM_LISTS;
        for (uint32_t list = 0; list < index->list_count; list++) {
            if (!was_read[list] && (next == MAXIMUM_LISTS || ranks[list] < ranks[next])) {
                next = list;
            }
        }
        was_read[next] = true;
        uint32_t all = made->starts[next + 1] - made->starts[next], here = 0;
        for (uint32_t row = made->starts[next]; row < made->starts[next + 1]; row++) {
            if (is_set(allowed, row)) {
                found[count++] = distance(made, query, row);
                here++;
            }
        }
        read += all == 0 ? 1 : (double)here / all;
    }
    qsort(found, count, sizeof(double), by_distance);
    return count;
}

static void check_found(const lists *made, const float *query, const uint64_t *allowed,
                        cordwood_topk *topk, const double *expected, uint32_t count,
                        const char *what) {
    uint32_t wanted = count < topk->capacity ? count : topk->capacity;
    CHECK(topk->count == wanted, "%s: %u of %u", what, topk->count, wanted);
    cordwood_topk_sort(topk);
    for (uint32_t i = 0; i < topk->count; i++) {
        uint32_t row = (uint32_t)topk->heap[i].id ^ 0x5555;
        double exact = distance(made, query, row);
        CHECK(is_set(allowed, row), "%s: row %u is not allowed", what, row);
        CHECK(fabs(topk->heap[i].distance - exact) < 1e-4, "%s: row %u", what, row);
        CHECK(fabs(expected[i] - exact) < 1e-4, "%s: result %u is %g, expected %g", what, i, exact,
              expected[i]);
    }
}

static void search(const lists *made, uint64_t *random) {
    const cordwood_ivf *index = &made->index;
    uint32_t rows = made->starts[index->list_count];
    float query[MAXIMUM_DIMENSIONS];
    for (size_t d = 0; d < index->dimensions; d++) {
        query[d] = next_float(random);
    }
    uint64_t bits[(MAXIMUM_ROWS + 63) / 64];
    for (size_t word = 0; word < sizeof(bits) / sizeof(*bits); word++) {
        bits[word] = next_random(random) & next_random(random);
    }
    const uint64_t *allowed = next_random(random) % 2 ? bits : NULL;
    cordwood_ivf_scratch scratch = {
        .query = calloc(MAXIMUM_DIMENSIONS + 64, sizeof(float)),
        .components = aligned_alloc(64, query_bytes(index->ranking)),
        .distances = malloc((MAXIMUM_LISTS + 64) * sizeof(float)),
        .lists = malloc(2 * (MAXIMUM_LISTS + CORDWOOD_SHORTLIST_STEP) * sizeof(uint64_t)),
        .keys = malloc(KEY_ROOM * sizeof(uint64_t)),
        .key_room = KEY_ROOM,
    };
    cordwood_neighbor room[MAXIMUM_WANTED];
    double expected[MAXIMUM_ROWS];
    uint32_t wanted = 1 + (uint32_t)(next_random(random) % MAXIMUM_WANTED);
    uint32_t probes = 1 + (uint32_t)(next_random(random) % (index->list_count + 2));
    cordwood_topk topk;
    // All are compared again, so that codes decide nothing but which lists are read.
    cordwood_ivf_effort effort = {probes, MAXIMUM_ROWS};
    cordwood_topk_init(&topk, room, wanted);
    cordwood_ivf_search(index, query, &effort, allowed, &scratch, &topk);
    uint32_t count = expect(made, query, probes, wanted, allowed, expected);
    check_found(made, query, allowed, &topk, expected, count, "a search");
    cordwood_topk_init(&topk, room, wanted);
    cordwood_ivf_scan(index, query, allowed, &scratch, &topk);
    count = expect(made, query, index->list_count, rows, allowed, expected);
    check_found(made, query, allowed, &topk, expected, count, "a scan");
    free(scratch.query);
    free(scratch.components);
    free(scratch.distances);
    free(scratch.lists);
    free(scratch.keys);
}

void test_ivf(void) {
    uint64_t random = 41;
    lists *made = malloc(sizeof(lists));
    for (int round = 0; round < 400; round++) {
        cordwood_metric metric = round % 2 ? CORDWOOD_L2 : CORDWOOD_IP;
        cordwood_list_kind kind = round / 2 % 2 ? CORDWOOD_LIST_F32 : CORDWOOD_LIST_CODES;
        size_t dimensions = 1 + next_random(&random) % MAXIMUM_DIMENSIONS;
        uint32_t rows = (uint32_t)(next_random(&random) % (MAXIMUM_ROWS + 1));
        uint32_t count = 1 + (uint32_t)(next_random(&random) % MAXIMUM_LISTS);
        make(made, metric, kind, dimensions, rows, count, &random);
        for (int i = 0; i < 4; i++) {
            search(made, &random);
        }
        free(made->ranking_codes);
        free(made->codes);
    }
    free(made);
}
