/// Offering the nodes of a step to the pool, without an instruction set's help.
#pragma once

#include "pool.h"

/// Puts those of some nodes that are near enough into the pool, of equals the earlier first;
/// returns the first place that changed, or more than there are.
static inline uint32_t offer(cordwood_candidate *pool, uint32_t *count, uint32_t ef,
                             const float *distances, const uint32_t *nodes, uint32_t found) {
    cordwood_candidate near[MERGED_AT_ONCE];
    uint32_t first = ef, near_count = 0;
    float worst = *count == ef ? pool[ef - 1].distance : __builtin_inff();
    for (uint32_t i = 0; i < found; i++) {
        near[near_count] = (cordwood_candidate){distances[i], nodes[i]};
        // What is not a number is nearer than nothing.
        near_count += distances[i] < worst;
        if (near_count == MERGED_AT_ONCE || i + 1 == found) {
            uint32_t place = merge_candidates(pool, count, ef, near, near_count);
            first = place < first ? place : first;
            worst = *count == ef ? pool[ef - 1].distance : worst;
            near_count = 0;
        }
    }
    return first;
}
