// The bounded heap. Few rows reach it: of n rows in random order, about k ln(n / k) beat the
// threshold, so plain code serves every instruction set.

#include "cordwood_kernels.h"

#include <math.h>

/// Whether a is farther than b, ties by the larger id.
static inline bool is_worse(cordwood_neighbor a, cordwood_neighbor b) {
    return a.distance > b.distance || (a.distance == b.distance && a.id > b.id);
}

/// Lets `moved` sink from the hole at `at` to its place among the first `count`.
static void sink(cordwood_neighbor *heap, uint32_t count, uint32_t at, cordwood_neighbor moved) {
    for (;;) {
        size_t child = 2 * (size_t)at + 1;
        if (child >= count) {
            break;
        }
        if (child + 1 < count && is_worse(heap[child + 1], heap[child])) {
            child++;
        }
        if (!is_worse(heap[child], moved)) {
            break;
        }
        heap[at] = heap[child];
        at = (uint32_t)child;
    }
    heap[at] = moved;
}

void cordwood_topk_init(cordwood_topk *topk, cordwood_neighbor *room, uint32_t capacity) {
    *topk = (cordwood_topk){.heap = room, .capacity = capacity, .threshold = INFINITY};
}

void cordwood_topk_push(cordwood_topk *topk, float distance, uint64_t id) {
    cordwood_neighbor offered = {isnan(distance) ? INFINITY : distance, id};
    cordwood_neighbor *heap = topk->heap;
    if (topk->count < topk->capacity) {
        uint32_t at = topk->count++;
        while (at > 0 && is_worse(offered, heap[(at - 1) / 2])) {
            heap[at] = heap[(at - 1) / 2];
            at = (at - 1) / 2;
        }
        heap[at] = offered;
    } else if (is_worse(heap[0], offered)) {
        sink(heap, topk->count, 0, offered);
    }
    if (topk->count == topk->capacity) {
        topk->threshold = heap[0].distance;
    }
}

void cordwood_topk_sort(cordwood_topk *topk) {
    for (uint32_t left = topk->count; left > 1; left--) {
        cordwood_neighbor worst = topk->heap[0];
        sink(topk->heap, left - 1, 0, topk->heap[left - 1]);
        topk->heap[left - 1] = worst;
    }
}
