// What is done once to a graph, or once to a batch of it.

#include "../include/cordwood_graph.h"

#include <string.h>

static bool is_level_sound(const cordwood_graph_level *level) {
    for (size_t node = 0; node < level->count; node++) {
        const uint32_t *edges = level->edges + node * level->degree;
        bool has_ended = false;
        for (uint32_t i = 0; i < level->degree; i++) {
            if (edges[i] == CORDWOOD_NO_NODE) {
                has_ended = true;
            } else if (has_ended || edges[i] >= level->count) {
                return false;
            }
        }
    }
    return true;
}

bool cordwood_graph_is_sound(const cordwood_graph *graph) {
    uint32_t below = CORDWOOD_GRAPH_MAXIMUM_NODES;
    for (uint32_t i = 0; i < graph->level_count; i++) {
        const cordwood_graph_level *level = &graph->levels[i];
        if (level->count == 0 || level->count > below || level->degree == 0 ||
            level->degree > CORDWOOD_GRAPH_MAXIMUM_DEGREE || !is_level_sound(level)) {
            return false;
        }
        below = level->count;
    }
    return graph->level_count > 0;
}

void cordwood_graph_group(const cordwood_graph_build *build) {
    const size_t count = (size_t)(build->last - build->first) * build->neighbors;
    uint32_t *starts = build->starts;
    memset(starts, 0, ((size_t)build->first + 1) * sizeof(uint32_t));
    for (size_t i = 0; i < count; i++) {
        if (build->targets[i] != CORDWOOD_NO_NODE) {
            starts[build->targets[i]]++;
        }
    }
    uint32_t end = 0;
    for (size_t node = 0; node <= build->first; node++) {
        end += starts[node];
        starts[node] = end;
    }
    // Backwards, so that each target's proposals stay in the order of their sources, and each start
    // ends up at the first.
    for (size_t i = count; i-- > 0;) {
        if (build->targets[i] != CORDWOOD_NO_NODE) {
            build->grouped[--starts[build->targets[i]]] = build->proposals[i];
        }
    }
}
