/// Adding to a shortlist, inline in the loops that do it.
#pragma once

#include "../include/cordwood_shortlist.h"

#include <string.h>

/// Flips the bits of a negative float, and the sign of another: whole numbers in the same order.
static inline __attribute__((always_inline)) uint64_t shortlist_key(float distance,
                                                                    uint32_t place) {
    // A sum that overflowed both ways; it counts as infinite.
    if (distance != distance) {
        distance = __builtin_inff();
    }
    uint32_t bits;
    memcpy(&bits, &distance, sizeof bits);
    bits ^= (uint32_t)((int32_t)bits >> 31) | 0x80000000;
    return (uint64_t)bits << 32 | place;
}

/// Adds `first` + each bit of `mask` at its distance. There is room for a step's worth before and
/// after.
static inline __attribute__((always_inline)) void
shortlist_add(cordwood_shortlist *list, const float *distances, uint32_t mask, uint32_t first) {
    uint64_t *keys = list->keys + list->count;
    list->count += (uint32_t)__builtin_popcount(mask);
    for (; mask; mask &= mask - 1) {
        uint32_t lane = (uint32_t)__builtin_ctz(mask);
        *keys++ = shortlist_key(distances[lane], first + lane);
    }
    if (list->count + CORDWOOD_SHORTLIST_STEP > list->room) {
        cordwood_shortlist_cut(list);
    }
}
