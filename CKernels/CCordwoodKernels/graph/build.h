/// Choosing neighbours, compiled once for each instruction set. Rows are codes of 8 bits. See
/// `cordwood_graph_build`.
#pragma once

#include "walk.h"

/// What the choice of neighbours needs to know of a build.
typedef struct {
    const cordwood_graph_build *build;
    const cordwood_quantizer *quantizer;
    bool l2;
    size_t bytes;
    size_t room;
    cordwood_graph_build_scratch *scratch;
} chooser;

INLINE chooser chooser_of(const cordwood_graph_build *build,
                          cordwood_graph_build_scratch *scratch) {
    const cordwood_quantizer *quantizer = build->rows->quantizer;
    return (chooser){build,
                     quantizer,
                     quantizer->metric == CORDWOOD_L2,
                     code_bytes(quantizer),
                     query_bytes(quantizer),
                     scratch};
}

/// The row of a node as a query, in the scratch's place `index`.
INLINE const cordwood_code_query *query_of_node(const chooser *chooser, uint32_t node,
                                                uint32_t index) {
    const cordwood_graph_rows *rows = chooser->build->rows;
    cordwood_code_query *query = &chooser->scratch->queries[index];
    prepare_row(chooser->quantizer, rows->rows + node * rows->stride,
                chooser->scratch->components + index * chooser->room, query);
    return query;
}

/// Whether one of the chosen, whose queries are those from place 1 on, is nearer to the candidate
/// than the node that chooses is.
INLINE bool is_shadowed(const chooser *chooser, cordwood_candidate candidate, uint32_t chosen) {
    const cordwood_graph_rows *rows = chooser->build->rows;
    const uint8_t *row = rows->rows + candidate.node * rows->stride;
    const uint8_t *four_rows[4] = {row, row, row, row};
    const cordwood_code_query *queries = chooser->scratch->queries + 1;
    for (uint32_t i = 0; i < chosen; i += 4) {
        const cordwood_code_query *four[4];
        for (uint32_t k = 0; k < 4; k++) {
            four[k] = &queries[i + k < chosen ? i + k : i];
        }
        float distances[4];
        if (chooser->l2) {
            four_code_distances(true, false, four, four_rows, chooser->bytes, distances);
        } else {
            four_code_distances(false, false, four, four_rows, chooser->bytes, distances);
        }
        for (int k = 0; k < 4; k++) {
            if (distances[k] * chooser->build->alpha < candidate.distance) {
                return true;
            }
        }
    }
    return false;
}

/// Leaves at the front of `candidates`, nearest first, those to be neighbours: each is nearer to
/// the node than to any chosen before it, so that edges lead into every direction. Returns their
/// number.
static uint32_t choose(const chooser *chooser, cordwood_candidate *candidates, uint32_t count,
                       uint32_t capacity) {
    uint32_t chosen = 0;
    for (uint32_t i = 0; i < count && chosen < capacity; i++) {
        if (is_shadowed(chooser, candidates[i], chosen)) {
            continue;
        }
        candidates[chosen] = candidates[i];
        chosen++;
        query_of_node(chooser, candidates[i].node, chosen);
    }
    return chosen;
}

INLINE void propose_one(const chooser *chooser, uint32_t node) {
    const cordwood_graph_build *build = chooser->build;
    const cordwood_graph_level *level = &build->graph->levels[build->level];
    cordwood_graph_scratch *walk = &chooser->scratch->walk;
    cordwood_graph_query query = {.codes = query_of_node(chooser, node, 0)};
    row_flavour flavour = chooser->l2 ? FLAVOUR_8_L2 : FLAVOUR_8_IP;
    cordwood_candidate at = {distance_of_node(flavour, build->rows, &query, chooser->bytes, 0), 0};
    // Where the levels above lead, this level may have nothing yet.
    uint32_t top = build->graph->level_count - 1;
    if (build->level < top && build->graph->levels[build->level + 1].count <= build->first) {
        for (uint32_t above = top; above > build->level; above--) {
            const cordwood_graph_level *upper = &build->graph->levels[above];
            if (chooser->l2) {
                descend(FLAVOUR_8_L2, upper, build->rows, &query, chooser->bytes, &at, walk);
            } else {
                descend(FLAVOUR_8_IP, upper, build->rows, &query, chooser->bytes, &at, walk);
            }
        }
    }
    uint32_t count = chooser->l2
                         ? walk_level(FLAVOUR_8_L2, level, build->rows, &query, chooser->bytes, at,
                                      build->ef, build->beam, NULL, walk)
                         : walk_level(FLAVOUR_8_IP, level, build->rows, &query, chooser->bytes, at,
                                      build->ef, build->beam, NULL, walk);
    count = choose(chooser, walk->pool, count, build->neighbors);
    uint32_t *edges = level->edges + (size_t)node * level->degree;
    size_t place = (size_t)(node - build->first) * build->neighbors;
    for (uint32_t i = 0; i < build->neighbors; i++) {
        build->targets[place + i] = i < count ? walk->pool[i].node : CORDWOOD_NO_NODE;
        if (i < count) {
            edges[i] = walk->pool[i].node;
            build->proposals[place + i] = (cordwood_proposal){node, walk->pool[i].distance};
        }
    }
}

static void propose(const cordwood_graph_build *build, uint32_t first, uint32_t last,
                    cordwood_graph_build_scratch *scratch) {
    chooser chooser = chooser_of(build, scratch);
    for (uint32_t node = first; node < last; node++) {
        propose_one(&chooser, node);
    }
}

/// Chooses anew among what a node has and what was proposed to it.
static void choose_again(const chooser *chooser, uint32_t node, uint32_t has, uint32_t *edges) {
    const cordwood_graph_build *build = chooser->build;
    const cordwood_graph_rows *rows = build->rows;
    const cordwood_graph_level *level = &build->graph->levels[build->level];
    cordwood_graph_scratch *walk = &chooser->scratch->walk;
    uint32_t capacity = build->ef > level->degree ? build->ef : level->degree;
    cordwood_graph_query query = {.codes = query_of_node(chooser, node, 0)};
    memcpy(walk->nodes, edges, has * sizeof(uint32_t));
    for (uint32_t i = 0; i < has; i++) {
        prefetch(rows->rows + edges[i] * rows->stride, rows->stride);
    }
    if (chooser->l2) {
        distances_of_nodes(FLAVOUR_8_L2, rows, &query, chooser->bytes, walk->nodes, has,
                           walk->distances);
    } else {
        distances_of_nodes(FLAVOUR_8_IP, rows, &query, chooser->bytes, walk->nodes, has,
                           walk->distances);
    }
    uint32_t count = 0;
    for (uint32_t i = 0; i < has; i++) {
        insert_candidate(walk->pool, &count, capacity, walk->distances[i], walk->nodes[i]);
    }
    for (uint32_t i = build->starts[node]; i < build->starts[node + 1]; i++) {
        cordwood_proposal proposal = build->grouped[i];
        if (count < capacity || proposal.distance < walk->pool[count - 1].distance) {
            insert_candidate(walk->pool, &count, capacity, proposal.distance, proposal.source);
        }
    }
    count = choose(chooser, walk->pool, count, level->degree);
    for (uint32_t i = 0; i < level->degree; i++) {
        edges[i] = i < count ? walk->pool[i].node : CORDWOOD_NO_NODE;
    }
}

static void accept_proposals(const cordwood_graph_build *build, uint32_t first, uint32_t last,
                             cordwood_graph_build_scratch *scratch) {
    const cordwood_graph_level *level = &build->graph->levels[build->level];
    chooser chooser = chooser_of(build, scratch);
    for (uint32_t node = first; node < last; node++) {
        uint32_t proposed = build->starts[node + 1] - build->starts[node];
        if (proposed == 0) {
            continue;
        }
        uint32_t *edges = level->edges + (size_t)node * level->degree;
        uint32_t has = 0;
        while (has < level->degree && edges[has] != CORDWOOD_NO_NODE) {
            has++;
        }
        if (has + proposed > level->degree) {
            choose_again(&chooser, node, has, edges);
            continue;
        }
        for (uint32_t i = build->starts[node]; i < build->starts[node + 1]; i++) {
            edges[has++] = build->grouped[i].source;
        }
    }
}

/// Copies the nodes of a list behind the first `count` of `nodes`, save those that are there and
/// the one whose list it is. Returns how many there are then, or CORDWOOD_NO_NODE where one is none
/// of the nodes.
INLINE uint32_t unite(const cordwood_graph_merge *merge, const uint32_t *list, uint32_t node,
                      uint32_t count, uint32_t *nodes) {
    for (uint32_t i = 0; i < merge->degree && list[i] != CORDWOOD_NO_NODE; i++) {
        if (list[i] >= merge->node_count) {
            return CORDWOOD_NO_NODE;
        }
        bool is_there = list[i] == node;
        for (uint32_t k = 0; k < count; k++) {
            is_there |= nodes[k] == list[i];
        }
        if (!is_there) {
            nodes[count++] = list[i];
        }
    }
    return count;
}

/// Fills the scratch's pool with `count` nodes, nearest to `node` first, that its `nodes` has.
INLINE void rank(const chooser *chooser, uint32_t node, uint32_t count) {
    const cordwood_graph_rows *rows = chooser->build->rows;
    cordwood_graph_scratch *walk = &chooser->scratch->walk;
    for (uint32_t i = 0; i < count; i++) {
        prefetch(rows->rows + walk->nodes[i] * rows->stride, rows->stride);
    }
    cordwood_graph_query query = {.codes = query_of_node(chooser, node, 0)};
    if (chooser->l2) {
        distances_of_nodes(FLAVOUR_8_L2, rows, &query, chooser->bytes, walk->nodes, count,
                           walk->distances);
    } else {
        distances_of_nodes(FLAVOUR_8_IP, rows, &query, chooser->bytes, walk->nodes, count,
                           walk->distances);
    }
    uint32_t ranked = 0;
    for (uint32_t i = 0; i < count; i++) {
        insert_candidate(walk->pool, &ranked, count, walk->distances[i], walk->nodes[i]);
    }
}

static bool merge_lists(const cordwood_graph_merge *merge, uint32_t first, uint32_t last,
                        cordwood_graph_build_scratch *scratch) {
    const cordwood_graph_build build = {.rows = merge->rows, .alpha = merge->alpha};
    const chooser chooser = chooser_of(&build, scratch);
    const uint32_t degree = merge->degree;
    cordwood_graph_scratch *walk = &scratch->walk;
    for (uint32_t i = first; i < last; i++) {
        const uint32_t *lists = merge->lists + (size_t)i * CORDWOOD_GRAPH_MERGED_LISTS * degree;
        uint32_t count = 0;
        for (uint32_t list = 0; list < CORDWOOD_GRAPH_MERGED_LISTS; list++) {
            count = unite(merge, lists + list * degree, merge->first + i, count, walk->nodes);
            if (count == CORDWOOD_NO_NODE) {
                return false;
            }
        }
        rank(&chooser, merge->first + i, count);
        if (count > degree) {
            count = choose(&chooser, walk->pool, count, degree);
        }
        uint32_t *merged = merge->merged + (size_t)i * degree;
        for (uint32_t k = 0; k < degree; k++) {
            merged[k] = k < count ? walk->pool[k].node : CORDWOOD_NO_NODE;
        }
    }
    return true;
}
