/// Telling seen nodes from others without an instruction set's help.
#pragma once

#include "../include/cordwood_graph.h"

/// Copies to `nodes`, which has room for `degree` and 16, those of a list whose bit is not set.
static inline uint32_t unseen_nodes(const uint32_t *edges, uint32_t degree, const uint32_t *seen,
                                    uint32_t *nodes) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < degree && edges[i] != CORDWOOD_NO_NODE; i++) {
        // Half of them are, at random: a branch could not be foreseen.
        nodes[count] = edges[i];
        count += !(seen[edges[i] / 32] >> edges[i] % 32 & 1);
    }
    return count;
}
