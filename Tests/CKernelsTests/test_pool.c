// The pool of a walk: many candidates at once leave what one after the other would.

#include "check.h"

#include "../../CKernels/CCordwoodKernels/graph/pool.h"

enum { LARGEST = 700 };

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

void test_pool(void) {
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
