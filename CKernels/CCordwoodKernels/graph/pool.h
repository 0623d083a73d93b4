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
    MERGED_AT_ONCE = 32,
    /// Larger pools take one candidate after the other.
    LARGEST_MERGED = 512,
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

static inline void forget_seen(cordwood_graph_scratch *scratch, uint32_t node_count) {
    if (scratch->touched_count <= scratch->touched_capacity) {
        for (uint32_t i = 0; i < scratch->touched_count; i++) {
            scratch->seen[scratch->touched[i]] = 0;
        }
    } else {
        memset(scratch->seen, 0, ((size_t)node_count + 31) / 32 * sizeof(uint32_t));
    }
    scratch->touched_count = 0;
}

/// How many candidates of a pool are no farther away.
///
/// Which way a comparison goes cannot be foreseen, and a branch on it would be guessed wrong half
/// of the time: the empty assembly keeps compilers from making one.
INLINE uint32_t place_of(const cordwood_candidate *pool, uint32_t count, float distance) {
    uint32_t place = 0, left = count;
    while (left > 1) {
        uint32_t half = left / 2;
        uint32_t is_behind = pool[place + half - 1].distance <= distance;
        __asm__("" : "+r"(is_behind));
        place += half & -is_behind;
        left -= half;
    }
    return place + (left == 1 && pool[place].distance <= distance);
}

/// Puts a candidate where it belongs in a pool of at most `capacity`, whose memory has room for one
/// more; the farthest falls out of a full one. Returns its place.
INLINE uint32_t insert_candidate(cordwood_candidate *pool, uint32_t *count, uint32_t capacity,
                                 float distance, uint32_t node) {
    uint32_t place = place_of(pool, *count, distance);
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

/// Puts up to MERGED_AT_ONCE candidates where they belong, of equals the earlier first: the same
/// pool as one after the other makes. Returns the first place that changed, or more than there are.
///
/// Each insertion waits for the one before, which was a third of a search over short codes. Here
/// the places of all are looked up side by side in the pool as it was, and it is written once.
INLINE uint32_t merge_candidates(cordwood_candidate *pool, uint32_t *count, uint32_t capacity,
                                 const cordwood_candidate *added, uint32_t added_count) {
    const uint32_t had = *count;
    uint32_t first = capacity;
    // A pass over the pool costs about as much as inserting one for every 64 that it has.
    if (had > LARGEST_MERGED || added_count * 64 < had + 128) {
        for (uint32_t i = 0; i < added_count; i++) {
            if (*count < capacity || added[i].distance < pool[capacity - 1].distance) {
                uint32_t place =
                    insert_candidate(pool, count, capacity, added[i].distance, added[i].node);
                first = place < first ? place : first;
            }
        }
        return first;
    }
    cordwood_candidate merged[LARGEST_MERGED + MERGED_AT_ONCE];
    // How many go in front of each place.
    uint8_t before[LARGEST_MERGED + 1];
    memset(before, 0, had + 1);
    for (uint32_t i = 0; i < added_count; i++) {
        uint32_t place = place_of(pool, had, added[i].distance), nearer = 0;
        for (uint32_t k = 0; k < added_count; k++) {
            nearer += added[k].distance < added[i].distance ||
                      (added[k].distance == added[i].distance && k < i);
        }
        before[place]++;
        merged[place + nearer] = added[i];
        first = place < first ? place : first;
    }
    for (uint32_t i = first, shift = 0; i < had; i++) {
        shift += before[i];
        merged[i + shift] = pool[i];
    }
    *count = had + added_count < capacity ? had + added_count : capacity;
    if (first < *count) {
        memcpy(pool + first, merged + first, (*count - first) * sizeof(cordwood_candidate));
    }
    return first;
}
