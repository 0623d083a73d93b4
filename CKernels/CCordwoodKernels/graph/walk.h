/// The walk over a graph, compiled once for each instruction set and kind of row. See
/// `cordwood_graph_search`. The file that includes this has included one of `offer….h` and has
/// `unseen_nodes`.
#pragma once

#include "rows.h"

enum {
    /// Of one step of a walk under a filter.
    MAXIMUM_DETOURS = 256,
};

/// Computes the distances of the first `count` of `nodes`, whose room is a multiple of four.
INLINE void distances_of_nodes(row_flavour flavour, const cordwood_graph_rows *rows,
                               const cordwood_graph_query *query, size_t bytes, uint32_t *nodes,
                               uint32_t count, float *distances) {
    for (uint32_t i = count; i % 4 != 0; i++) {
        nodes[i] = nodes[0];
    }
    for (uint32_t i = 0; i < count; i += 4) {
        const uint8_t *four[4];
        for (int k = 0; k < 4; k++) {
            four[k] = rows->rows + nodes[i + k] * rows->stride;
        }
        four_distances_of(flavour, query, bytes, four, distances + i);
    }
}

INLINE float distance_of_node(row_flavour flavour, const cordwood_graph_rows *rows,
                              const cordwood_graph_query *query, size_t bytes, uint32_t node) {
    const uint8_t *row = rows->rows + node * rows->stride;
    const uint8_t *four[4] = {row, row, row, row};
    float distances[4];
    four_distances_of(flavour, query, bytes, four, distances);
    return distances[0];
}

/// Goes to the nearest neighbour on a level, again and again, while it is nearer.
INLINE void descend(row_flavour flavour, const cordwood_graph_level *level,
                    const cordwood_graph_rows *rows, const cordwood_graph_query *query,
                    size_t bytes, cordwood_candidate *at, cordwood_graph_scratch *scratch) {
    for (uint32_t from = CORDWOOD_NO_NODE; from != at->node;) {
        from = at->node;
        const uint32_t *edges = level->edges + (size_t)from * level->degree;
        uint32_t count = 0;
        for (; count < level->degree && edges[count] != CORDWOOD_NO_NODE; count++) {
            scratch->nodes[count] = edges[count];
            prefetch(rows->rows + edges[count] * rows->stride, rows->stride);
        }
        distances_of_nodes(flavour, rows, query, bytes, scratch->nodes, count, scratch->distances);
        scratch->distance_count += count;
        scratch->hop_count++;
        for (uint32_t i = 0; i < count; i++) {
            if (scratch->distances[i] < at->distance) {
                *at = (cordwood_candidate){scratch->distances[i], scratch->nodes[i]};
            }
        }
    }
}

/// Copies to `nodes` those of a list that were not seen, once each, and marks them; returns their
/// number.
INLINE uint32_t gather_unseen(const uint32_t *edges, uint32_t degree, uint32_t *nodes,
                              cordwood_graph_scratch *scratch) {
    uint32_t found = unseen_nodes(edges, degree, scratch->seen, nodes), count = 0;
    for (uint32_t i = 0; i < found; i++) {
        uint32_t node = nodes[i];
        bool is_again = scratch->seen[node / 32] >> node % 32 & 1;
        nodes[count] = node;
        count += !is_again;
        mark_seen(scratch, node);
    }
    return count;
}

/// The forbidden neighbours of the nodes of a step, whose own neighbours are looked at instead.
typedef struct {
    uint32_t nodes[MAXIMUM_DETOURS];
    uint32_t count;
} detours;

/// As `gather_unseen` for those that are allowed; of the others the first, which are the nearest,
/// become detours, and their lists are asked for.
INLINE uint32_t gather_allowed(const cordwood_graph_level *level, const uint32_t *edges,
                               const cordwood_graph_filter *filter, uint32_t *nodes,
                               detours *around, cordwood_graph_scratch *scratch) {
    uint32_t unseen = gather_unseen(edges, level->degree, nodes, scratch), count = 0;
    uint32_t left = filter->detours;
    for (uint32_t i = 0; i < unseen; i++) {
        uint32_t node = nodes[i];
        if (filter->allowed[node / 64] >> node % 64 & 1) {
            nodes[count++] = node;
        } else if (left > 0 && around->count < MAXIMUM_DETOURS) {
            around->nodes[around->count++] = node;
            prefetch((const uint8_t *)(level->edges + (size_t)node * level->degree),
                     level->degree * sizeof(uint32_t));
            left--;
        }
    }
    return count;
}

/// Appends to `nodes` the allowed neighbours of the detours that were not seen, until there are
/// `enough`; returns how many there are then.
INLINE uint32_t follow_detours(const cordwood_graph_level *level,
                               const cordwood_graph_filter *filter, const detours *around,
                               uint32_t *nodes, uint32_t count, uint32_t enough,
                               cordwood_graph_scratch *scratch) {
    for (uint32_t i = 0; i < around->count && count < enough; i++) {
        const uint32_t *edges = level->edges + (size_t)around->nodes[i] * level->degree;
        uint32_t before = count;
        for (uint32_t k = 0; k < level->degree && edges[k] != CORDWOOD_NO_NODE; k++) {
            uint32_t node = edges[k];
            nodes[count] = node;
            count += (filter->allowed[node / 64] >> node % 64 & 1) &
                     !(scratch->seen[node / 32] >> node % 32 & 1);
        }
        uint32_t kept = before;
        for (uint32_t k = before; k < count; k++) {
            uint32_t node = nodes[k];
            // A list may have a node twice.
            if (!(scratch->seen[node / 32] >> node % 32 & 1)) {
                nodes[kept++] = node;
                mark_seen(scratch, node);
            }
        }
        count = kept;
        scratch->hop_count++;
    }
    return count;
}

/// The walk over one level from `start`, with its distance; with a filter over allowed nodes, save
/// that the start need not be one.
INLINE uint32_t walk_level(row_flavour flavour, const cordwood_graph_level *level,
                           const cordwood_graph_rows *rows, const cordwood_graph_query *query,
                           size_t bytes, cordwood_candidate start, uint32_t ef, uint32_t beam,
                           const cordwood_graph_filter *filter, cordwood_graph_scratch *scratch) {
    cordwood_candidate *pool = scratch->pool;
    uint32_t *nodes = scratch->nodes;
    pool[0] = start;
    // The pool is in order, which nothing would be beside what is not a number.
    pool[0].distance = start.distance == start.distance ? start.distance : __builtin_inff();
    mark_seen(scratch, start.node);
    uint32_t count = 1;
    for (uint32_t next = 0; next < count;) {
        uint32_t found = 0, taken = 0;
        detours around;
        around.count = 0;
        for (uint32_t at = next; taken < beam && at < count; at++) {
            if (pool[at].node & FOLLOWED) {
                continue;
            }
            const uint32_t *edges = level->edges + (size_t)pool[at].node * level->degree;
            pool[at].node |= FOLLOWED;
            uint32_t before = found;
            found += filter ? gather_allowed(level, edges, filter, nodes + found, &around, scratch)
                            : gather_unseen(edges, level->degree, nodes + found, scratch);
            for (uint32_t i = before; i < found; i++) {
                prefetch(rows->rows + nodes[i] * rows->stride, rows->stride);
            }
            taken++;
            scratch->hop_count++;
        }
        if (filter) {
            uint32_t before = found;
            found = follow_detours(level, filter, &around, nodes, found, taken * level->degree,
                                   scratch);
            for (uint32_t i = before; i < found; i++) {
                prefetch(rows->rows + nodes[i] * rows->stride, rows->stride);
            }
        }
        distances_of_nodes(flavour, rows, query, bytes, nodes, found, scratch->distances);
        scratch->distance_count += found;
        uint32_t nearest = offer(pool, &count, ef, scratch->distances, nodes, found);
        next = nearest < next ? nearest : next;
        while (next < count && pool[next].node & FOLLOWED) {
            next++;
        }
        taken = 0;
        for (uint32_t at = next; taken < beam && at < count; at++) {
            if (!(pool[at].node & FOLLOWED)) {
                prefetch((const uint8_t *)(level->edges + (size_t)pool[at].node * level->degree),
                         level->degree * sizeof(uint32_t));
                taken++;
            }
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        pool[i].node &= NODE;
    }
    forget_seen(scratch, level->count);
    return count;
}

INLINE uint32_t search_as(row_flavour flavour, const cordwood_graph *graph,
                          const cordwood_graph_rows *rows, const cordwood_graph_query *query,
                          uint32_t level, uint32_t ef, uint32_t beam,
                          const cordwood_graph_filter *filter, cordwood_graph_scratch *scratch) {
    size_t bytes = component_bytes(rows);
    cordwood_candidate at = {distance_of_node(flavour, rows, query, bytes, 0), 0};
    scratch->distance_count++;
    for (uint32_t above = graph->level_count - 1; above > level; above--) {
        descend(flavour, &graph->levels[above], rows, query, bytes, &at, scratch);
    }
    return walk_level(flavour, &graph->levels[level], rows, query, bytes, at, ef, beam, filter,
                      scratch);
}

static uint32_t search(const cordwood_graph *graph, const cordwood_graph_rows *rows,
                       const cordwood_graph_query *query, uint32_t level, uint32_t ef,
                       uint32_t beam, cordwood_graph_scratch *scratch) {
    switch (flavour_of(rows, query)) {
#define SEARCH(flavour)                                                                            \
    case flavour:                                                                                  \
        return search_as(flavour, graph, rows, query, level, ef, beam, NULL, scratch)
        SEARCH(FLAVOUR_F32_L2);
        SEARCH(FLAVOUR_F32_IP);
        SEARCH(FLAVOUR_8_L2);
        SEARCH(FLAVOUR_8_IP);
        SEARCH(FLAVOUR_4_L2);
        SEARCH(FLAVOUR_4_IP);
#undef SEARCH
    }
    return 0;
}

static uint32_t search_allowed(const cordwood_graph *graph, const cordwood_graph_rows *rows,
                               const cordwood_graph_query *query, uint32_t ef, uint32_t beam,
                               const cordwood_graph_filter *filter,
                               cordwood_graph_scratch *scratch) {
    switch (flavour_of(rows, query)) {
#define SEARCH(flavour)                                                                            \
    case flavour:                                                                                  \
        return search_as(flavour, graph, rows, query, 0, ef, beam, filter, scratch)
        SEARCH(FLAVOUR_F32_L2);
        SEARCH(FLAVOUR_F32_IP);
        SEARCH(FLAVOUR_8_L2);
        SEARCH(FLAVOUR_8_IP);
        SEARCH(FLAVOUR_4_L2);
        SEARCH(FLAVOUR_4_IP);
#undef SEARCH
    }
    return 0;
}
