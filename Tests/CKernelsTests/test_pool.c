// The pool of a walk: many candidates at once leave what one after the other would.

#include "test_pool.h"

#include "../../CKernels/CCordwoodKernels/graph/offer.h"

#include <stdlib.h>

enum { LARGEST = 700, MOST_FOUND = 200 };

/// Where each belongs is looked for from the front: what the pool is by definition.
static void insert_plainly(cordwood_candidate *pool, uint32_t *count, uint32_t capacity,
                           cordwood_candidate added) {
    uint32_t place = 0;
    while (place < *count && pool[place].distance <= added.distance) {
        place++;
    }
    for (uint32_t i = *count < capacity ? *count : capacity - 1; i > place; i--) {
        pool[i] = pool[i - 1];
    }
    if (place < capacity) {
        pool[place] = added;
    }
    *count += *count < capacity;
}

static bool is_same(const cordwood_candidate *a, const cordwood_candidate *b, uint32_t count) {
    return memcmp(a, b, count * sizeof(cordwood_candidate)) == 0;
}

/// A distance of few values, so that many are equal, and now and then one that is none.
static float any_distance(uint64_t *random, uint32_t values) {
    static const float odd[] = {
        __builtin_nanf(""), -__builtin_nanf(""), __builtin_inff(), -__builtin_inff(), -0.0f,
        0x1p-149f,          -0x1p-149f};
    uint64_t number = next_random(random);
    return number >> 32 & 31 ? (float)(number % values) - 20 : odd[number % 7];
}

/// Steps of any number of nodes leave what one after the other would, and the first place that they
/// say is the first that changed. Memory ends where the caller's rooms do.
static void check_offer(const char *name, offer_function *offer_nodes, bool is_large) {
    uint64_t random = is_large ? 79 : 78;
    for (int round = 0; round < (is_large ? 20 : 300); round++) {
        uint32_t capacity = 1 + (uint32_t)(next_random(&random) % (is_large ? LARGEST : 60));
        uint32_t values = 1 + (uint32_t)(next_random(&random) % 200);
        cordwood_candidate *pool = malloc((capacity + 1) * sizeof *pool);
        cordwood_candidate *expected = malloc((capacity + 1) * sizeof *pool);
        cordwood_candidate *before = malloc((capacity + 1) * sizeof *pool);
        uint32_t count = 0, plain_count = 0, name_of_next = 0;
        for (int step = 0; step < 12; step++) {
            const uint32_t found = (uint32_t)(next_random(&random) % (MOST_FOUND + 1));
            float *distances = malloc(found * sizeof *distances + 1);
            uint32_t *nodes = malloc(found * sizeof *nodes + 1);
            const uint32_t had = count;
            memcpy(before, pool, count * sizeof *pool);
            for (uint32_t i = 0; i < found; i++) {
                distances[i] = any_distance(&random, values);
                // Some are marked, as those that were followed.
                nodes[i] = name_of_next++ | (uint32_t)(next_random(&random) & FOLLOWED);
                const float worst =
                    plain_count == capacity ? expected[capacity - 1].distance : __builtin_inff();
                if (distances[i] < worst) {
                    insert_plainly(expected, &plain_count, capacity,
                                   (cordwood_candidate){distances[i], nodes[i]});
                }
            }
            const uint32_t first = offer_nodes(pool, &count, capacity, distances, nodes, found);
            CHECK(count == plain_count && is_same(pool, expected, count),
                  "%s: %u nodes offered to a pool of %u, %u of which there were", name, found,
                  capacity, had);
            uint32_t changed = 0;
            while (changed < had && is_same(pool + changed, before + changed, 1)) {
                changed++;
            }
            CHECK(first < count ? first == changed : changed >= count,
                  "%s: place %u changed first, not %u of %u", name, changed, first, count);
            free(distances);
            free(nodes);
        }
        free(pool);
        free(expected);
        free(before);
    }
}

static void check_merging(void) {
    uint64_t random = 77;
    static cordwood_candidate pool[LARGEST + 1], expected[LARGEST + 1];
    for (int round = 0; round < 3000; round++) {
        uint32_t capacity = 1 + (uint32_t)(next_random(&random) % (round % 10 ? 60 : LARGEST));
        uint32_t count = 0, plain_count = 0, node = 0;
        // Few values, so that many are equal.
        uint32_t values = 1 + (uint32_t)(next_random(&random) % 200);
        while (node < 2 * capacity + 8) {
            cordwood_candidate added[MERGED_AT_ONCE];
            uint32_t added_count = (uint32_t)(next_random(&random) % (MERGED_AT_ONCE + 1));
            uint32_t had = count;
            memcpy(expected, pool, count * sizeof(*pool));
            for (uint32_t i = 0; i < added_count; i++) {
                float distance = (float)(next_random(&random) % values) - 20;
                added[i] = (cordwood_candidate){distance, node++};
                insert_plainly(expected, &plain_count, capacity, added[i]);
            }
            uint32_t first = merge_candidates(pool, &count, capacity, added, added_count);
            CHECK(count == plain_count && is_same(pool, expected, count),
                  "%u candidates more in a pool of %u, %u of which there were", added_count,
                  capacity, had);
            for (uint32_t place = 0; place < first && place < count; place++) {
                CHECK(place < had && pool[place].node < node - added_count,
                      "place %u is new, the first that changed is %u", place, first);
            }
            node++;
        }
    }
}

void test_pool(void) {
    check_merging();
    offer_function *const offers[] = {offer, avx512_offer()};
    const char *const names[] = {"plain C", "AVX-512"};
    for (int i = 0; i < 2; i++) {
        if (offers[i]) {
            check_offer(names[i], offers[i], false);
            check_offer(names[i], offers[i], true);
        }
    }
}
