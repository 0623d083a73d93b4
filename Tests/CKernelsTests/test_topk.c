// The bounded heap against a sort.

#include "check.h"
#include "cordwood_kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int by_distance_then_id(const void *left, const void *right) {
    const cordwood_neighbor *a = left, *b = right;
    if (a->distance != b->distance) {
        return a->distance < b->distance ? -1 : 1;
    }
    return a->id < b->id ? -1 : a->id > b->id;
}

static void random_sequence(uint32_t capacity, size_t offered, uint64_t seed) {
    uint64_t random = seed;
    cordwood_neighbor *all = malloc((offered + 1) * sizeof *all);
    cordwood_neighbor *room = malloc(capacity * sizeof *room);
    cordwood_topk topk;
    cordwood_topk_init(&topk, room, capacity);
    for (size_t i = 0; i < offered; i++) {
        // Few distinct distances, so that most are ties; ids are distinct and in no order.
        all[i] = (cordwood_neighbor){(float)(next_random(&random) % 10) - 5,
                                     (uint64_t)i * 0x9e3779b97f4a7c15};
        cordwood_topk_push(&topk, all[i].distance, all[i].id);
    }
    qsort(all, offered, sizeof *all, by_distance_then_id);
    size_t expected = offered < capacity ? offered : capacity;
    CHECK(topk.count == expected, "capacity %u of %zu", capacity, offered);
    CHECK(topk.threshold == (offered < capacity ? INFINITY : all[capacity - 1].distance),
          "capacity %u of %zu: threshold %g", capacity, offered, topk.threshold);
    cordwood_topk_sort(&topk);
    for (size_t i = 0; i < expected; i++) {
        CHECK(room[i].distance == all[i].distance && room[i].id == all[i].id,
              "capacity %u of %zu, rank %zu, seed %llu", capacity, offered, i,
              (unsigned long long)seed);
    }
    free(all);
    free(room);
}

void test_topk(void) {
    const uint32_t capacities[] = {1, 2, 3, 10, 100, 1000};
    const size_t offers[] = {0, 1, 2, 9, 10, 11, 99, 1000, 5000};
    for (size_t c = 0; c < sizeof capacities / sizeof capacities[0]; c++) {
        for (size_t o = 0; o < sizeof offers / sizeof offers[0]; o++) {
            random_sequence(capacities[c], offers[o], c * 100 + o);
        }
    }
    // What is not a number counts as infinite: it fills a place that nothing better takes.
    cordwood_neighbor room[2];
    cordwood_topk topk;
    cordwood_topk_init(&topk, room, 2);
    cordwood_topk_push(&topk, NAN, 2);
    cordwood_topk_push(&topk, NAN, 1);
    cordwood_topk_push(&topk, NAN, 0);
    cordwood_topk_push(&topk, 3, 9);
    cordwood_topk_sort(&topk);
    CHECK(room[0].id == 9 && room[1].id == 0 && isinf(room[1].distance), "not a number");
}
