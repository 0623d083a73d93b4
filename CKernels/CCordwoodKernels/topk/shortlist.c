// Of a few hundred keys, the least: plain code on whole numbers.

#include "shortlist.h"

#include <math.h>

void cordwood_shortlist_init(cordwood_shortlist *list, uint64_t *keys, uint32_t kept,
                             uint32_t room) {
    *list = (cordwood_shortlist){.keys = keys, .kept = kept, .room = room, .threshold = INFINITY};
}

uint64_t cordwood_key(float distance, uint32_t place) { return shortlist_key(distance, place); }

float cordwood_key_distance(uint64_t key) {
    uint32_t bits = (uint32_t)(key >> 32);
    bits ^= bits >> 31 ? 0x80000000 : 0xffffffff;
    float distance;
    memcpy(&distance, &bits, sizeof distance);
    return distance;
}

static inline void exchange(uint64_t *keys, size_t a, size_t b) {
    uint64_t key = keys[a];
    keys[a] = keys[b];
    keys[b] = key;
}

static inline uint64_t middle(uint64_t a, uint64_t b, uint64_t c) {
    uint64_t low = a < b ? a : b, high = a < b ? b : a;
    return c < low ? low : c < high ? c : high;
}

/// Moves what is below the pivot to the front, and returns how many that are. Half of the
/// comparisons go either way at random, so none of them is a branch.
static size_t split(uint64_t *keys, size_t count, uint64_t pivot) {
    size_t below = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t key = keys[i];
        keys[i] = keys[below];
        keys[below] = key;
        below += key < pivot;
    }
    return below;
}

/// Moves the `wanted` least keys to the front. Keys differ from each other.
static void select_least(uint64_t *keys, size_t count, size_t wanted) {
    // Whoever chooses the distances does not choose where the pivots are looked for.
    uint64_t state = 0x9e3779b97f4a7c15;
    while (wanted > 0 && wanted < count) {
        state = state * 0xd1342543de82ef95 + 1;
        size_t step = 1 + (size_t)(state >> 33) % count;
        uint64_t pivot =
            middle(keys[step % count], keys[2 * step % count], keys[(3 * step + 1) % count]);
        size_t below = split(keys, count, pivot);
        if (below >= wanted) {
            count = below;
            continue;
        }
        // The pivot itself comes next, so that each round gets ahead.
        for (size_t i = below; i < count; i++) {
            if (keys[i] == pivot) {
                exchange(keys, below, i);
                break;
            }
        }
        keys += below + 1;
        count -= below + 1;
        wanted -= below + 1;
    }
}

void cordwood_shortlist_cut(cordwood_shortlist *list) {
    if (list->count < list->kept) {
        return;
    }
    select_least(list->keys, list->count, list->kept);
    list->count = list->kept;
    uint64_t greatest = 0;
    for (size_t i = 0; i < list->kept; i++) {
        greatest = list->keys[i] > greatest ? list->keys[i] : greatest;
    }
    list->threshold = cordwood_key_distance(greatest);
}

static void sink(uint64_t *keys, size_t count, size_t at) {
    uint64_t moved = keys[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count) {
            break;
        }
        child += child + 1 < count && keys[child + 1] > keys[child];
        if (keys[child] <= moved) {
            break;
        }
        keys[at] = keys[child];
        at = child;
    }
    keys[at] = moved;
}

void cordwood_keys_sort(uint64_t *keys, size_t count) {
    for (size_t at = count / 2; at-- > 0;) {
        sink(keys, count, at);
    }
    for (size_t left = count; left > 1; left--) {
        exchange(keys, 0, left - 1);
        sink(keys, left - 1, 0);
    }
}
