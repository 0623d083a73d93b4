/// What every walk over a graph keeps: the nodes that it has seen, and a pool of the nearest of
/// them.
#pragma once

#include "../codes/quantizer.h"
#include "../include/cordwood_graph.h"

#include <string.h>

enum {
    CACHE_LINE = 64,
    /// A longer row is fetched by the processor itself once its beginning is read.
    PREFETCHED_LINES = 8,
    NODE = CORDWOOD_GRAPH_MAXIMUM_NODES,
    /// The bit of a candidate whose edges have been followed.
    FOLLOWED = (int)~(unsigned)CORDWOOD_GRAPH_MAXIMUM_NODES,
};

INLINE void prefetch(const uint8_t *start, size_t bytes) {
    for (size_t i = 0; i < bytes && i < PREFETCHED_LINES * CACHE_LINE; i += CACHE_LINE) {
        __builtin_prefetch(start + i);
    }
    // A row that does not start on a line ends on one more.
    __builtin_prefetch(start + bytes - 1);
}

INLINE void mark_seen(cordwood_graph_scratch *scratch, uint32_t node) {
    scratch->seen[node / 32] |= 1u << node % 32;
    if (scratch->touched_count < scratch->touched_capacity) {
        scratch->touched[scratch->touched_count] = node / 32;
    }
    scratch->touched_count++;
}

static void forget_seen(cordwood_graph_scratch *scratch, uint32_t node_count) {
    if (scratch->touched_count <= scratch->touched_capacity) {
        for (uint32_t i = 0; i < scratch->touched_count; i++) {
            scratch->seen[scratch->touched[i]] = 0;
        }
    } else {
        memset(scratch->seen, 0, ((size_t)node_count + 31) / 32 * sizeof(uint32_t));
    }
    scratch->touched_count = 0;
}

/// Puts a candidate where it belongs in a pool of at most `capacity`, whose memory has room for one
/// more; the farthest falls out of a full one. Returns its place.
INLINE uint32_t insert_candidate(cordwood_candidate *pool, uint32_t *count, uint32_t capacity,
                                 float distance, uint32_t node) {
    // No branch depends on what is compared: which way it goes cannot be foreseen.
    uint32_t place = 0, left = *count;
    while (left > 1) {
        uint32_t half = left / 2;
        place += pool[place + half - 1].distance <= distance ? half : 0;
        left -= half;
    }
    place += left == 1 && pool[place].distance <= distance;
    uint32_t moved = *count - place;
    if (*count < capacity) {
        *count += 1;
    } else if (moved > 0) {
        moved -= 1;
    }
    memmove(pool + place + 1, pool + place, moved * sizeof(cordwood_candidate));
    pool[place] = (cordwood_candidate){distance, node};
    return place;
}
