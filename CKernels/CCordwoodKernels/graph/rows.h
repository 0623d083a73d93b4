/// Distances of four rows at a time, of any kind: the file that includes this has included one of
/// `sums_….h` and one of `dots_….h`.
#pragma once

#include "../codes/quantizer.h"
#include "../include/cordwood_graph.h"

#include <string.h>

/// A kind of row and a metric, known when a loop is compiled.
typedef enum {
    FLAVOUR_F32_L2,
    FLAVOUR_F32_IP,
    FLAVOUR_8_L2,
    FLAVOUR_8_IP,
    FLAVOUR_4_L2,
    FLAVOUR_4_IP,
} row_flavour;

INLINE row_flavour flavour_of(const cordwood_graph_rows *rows, const cordwood_graph_query *query) {
    if (rows->kind == CORDWOOD_ROW_F32) {
        return query->floats->metric == CORDWOOD_L2 ? FLAVOUR_F32_L2 : FLAVOUR_F32_IP;
    }
    bool l2 = rows->quantizer->metric == CORDWOOD_L2;
    if (rows->quantizer->bits == 4) {
        return l2 ? FLAVOUR_4_L2 : FLAVOUR_4_IP;
    }
    return l2 ? FLAVOUR_8_L2 : FLAVOUR_8_IP;
}

typedef float float_lanes __attribute__((vector_size(16)));
typedef int32_t number_lanes __attribute__((vector_size(16)));

/// The distances of pairs of a query and a row of codes, by their sums; rounded as the scan over
/// interleaved codes does, so that both find the same.
///
/// Side by side and written at once: one after the other, each would read its query anew, which for
/// all that a compiler knows is where the last was written.
INLINE void distances_of_dots(bool l2, const cordwood_code_query *const queries[4],
                              const uint8_t *const rows[4], size_t bytes, const int32_t dots[4],
                              float distances[4]) {
    number_lanes sums, shifts;
    float_lanes scales, bases;
    memcpy(&sums, dots, sizeof sums);
    for (int k = 0; k < 4; k++) {
        shifts[k] = queries[k]->shift;
        scales[k] = queries[k]->scale;
        bases[k] = queries[k]->base;
    }
    float_lanes products = scales * __builtin_convertvector(sums - shifts, float_lanes);
    if (l2) {
        float_lanes terms;
        for (int k = 0; k < 4; k++) {
            float term;
            memcpy(&term, rows[k] + bytes, sizeof term);
            terms[k] = term;
        }
        bases += terms;
    }
    float_lanes values = bases - products;
    memcpy(distances, &values, sizeof values);
}

/// The distances of pairs of a query and a row of codes.
INLINE void four_code_distances(bool l2, bool is_half, const cordwood_code_query *const queries[4],
                                const uint8_t *const rows[4], size_t bytes, float distances[4]) {
    const int8_t *components[4] = {queries[0]->components, queries[1]->components,
                                   queries[2]->components, queries[3]->components};
    int32_t dots[4];
    four_dots(is_half, components, rows, bytes, dots);
    distances_of_dots(l2, queries, rows, bytes, dots, distances);
}

/// `bytes` are those of a row's components.
INLINE void four_distances_of(row_flavour flavour, const cordwood_graph_query *query, size_t bytes,
                              const uint8_t *const rows[4], float distances[4]) {
    if (flavour == FLAVOUR_F32_L2 || flavour == FLAVOUR_F32_IP) {
        const float *floats[4] = {(const float *)rows[0], (const float *)rows[1],
                                  (const float *)rows[2], (const float *)rows[3]};
        bool l2 = flavour == FLAVOUR_F32_L2;
        four_store(four_sums(l2, query->floats->query, floats, query->floats->dimensions),
                   distances);
        for (int k = 0; k < 4 && !l2; k++) {
            distances[k] = query->floats->base - distances[k];
        }
        return;
    }
    const cordwood_code_query *queries[4] = {query->codes, query->codes, query->codes,
                                             query->codes};
    four_code_distances(flavour == FLAVOUR_8_L2 || flavour == FLAVOUR_4_L2,
                        flavour == FLAVOUR_4_L2 || flavour == FLAVOUR_4_IP, queries, rows, bytes,
                        distances);
}

INLINE size_t component_bytes(const cordwood_graph_rows *rows) {
    return rows->kind == CORDWOOD_ROW_F32 ? rows->stride : code_bytes(rows->quantizer);
}
