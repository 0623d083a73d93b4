/// The scan over groups of codes, compiled once for each instruction set. No two roundings are made
/// one, so that all select the same rows at the same distances. Such a file defines, before it
/// includes this one:
///
///     group_sums                               whole numbers, one for each row of a group
///     step_codes, step_numbers                 the codes of a step, and a query's part in it
///     first_sums(is_half, query)               less the query's shift
///     load_codes(is_half, step)
///     load_numbers(is_half, components)        of as many components as a step has codes of
///     add_products(is_half, sums, codes, numbers)
///     near_rows(l2, probe, sums, terms, errors, distances)
///         writes the distances of a group's rows and returns a bit for each that is not beyond
///         its limit
///     KERNELS, SUPPORTED                       its table, and whether it can be used
#pragma once

#include "flat.h"

enum {
    /// What is asked for ahead: the processor's own fetching ahead stops at each page.
    BYTES_AHEAD = 8192,
};

/// The numbers of a group's rows that `mask` names, and their distances. Few get here.
static __attribute__((noinline)) void add_rows(const float distances[CORDWOOD_FLAT_GROUP],
                                               uint32_t mask, uint32_t first,
                                               cordwood_flat_selection *selection) {
    for (; mask; mask &= mask - 1) {
        uint32_t lane = (uint32_t)__builtin_ctz(mask);
        selection->rows[selection->count] = first + lane;
        selection->distances[selection->count++] = distances[lane];
    }
}

/// Rows from a group's first on.
typedef struct {
    /// The group's first step. Its tile has `width` groups, side by side in each step.
    const uint8_t *codes;
    size_t width;
    const float *terms;
    const uint8_t *errors;
    /// The first row's number in its block, and a bit for each row that is asked about.
    uint32_t first;
    uint64_t asked;
} asked_rows;

/// Selects among one group or a whole tile, for one query or several: the counts are known when the
/// loop is compiled, and all sums are in registers.
INLINE void select_rows(bool l2, bool is_half, size_t probed, size_t groups, size_t steps,
                        const asked_rows *rows, const cordwood_flat_probe *probes,
                        cordwood_flat_selection *selections) {
    const bool is_tile = groups == CORDWOOD_FLAT_TILE_GROUPS;
    const size_t width = is_tile ? groups : rows->width;
    group_sums sums[CORDWOOD_FLAT_PROBES][CORDWOOD_FLAT_TILE_GROUPS];
    for (size_t i = 0; i < probed; i++) {
        for (size_t group = 0; group < groups; group++) {
            sums[i][group] = first_sums(is_half, probes[i].query);
        }
    }
    for (size_t step = 0; step < steps; step++) {
        step_codes codes[CORDWOOD_FLAT_TILE_GROUPS];
        for (size_t group = 0; group < groups; group++) {
            const uint8_t *own = rows->codes + (step * width + group) * STEP_BYTES;
            if (is_tile) {
                __builtin_prefetch((const void *)((uintptr_t)own + BYTES_AHEAD));
            }
            codes[group] = load_codes(is_half, own);
        }
        for (size_t i = 0; i < probed; i++) {
            const step_numbers numbers = load_numbers(
                is_half, probes[i].query->components + step * (is_half ? 2 : 1) * STEP_CODES);
            for (size_t group = 0; group < groups; group++) {
                sums[i][group] = add_products(is_half, sums[i][group], codes[group], numbers);
            }
        }
    }
    for (size_t i = 0; i < probed; i++) {
        for (size_t group = 0; group < groups; group++) {
            const size_t row = group * CORDWOOD_FLAT_GROUP;
            float distances[CORDWOOD_FLAT_GROUP];
            uint32_t near = near_rows(l2, &probes[i], sums[i][group], l2 ? rows->terms + row : NULL,
                                      rows->errors + row, distances);
            near &= (uint32_t)(rows->asked >> row) & 0xffff;
            if (__builtin_expect(near != 0, 0)) {
                add_rows(distances, near, rows->first + (uint32_t)row, &selections[i]);
            }
        }
    }
}

/// How many groups have a row that is asked about.
INLINE int asked_groups(uint64_t asked) {
    int groups = 0;
    for (; asked; asked >>= CORDWOOD_FLAT_GROUP) {
        groups += (asked & 0xffff) != 0;
    }
    return groups;
}

/// For one query or for as many as are looked at together.
INLINE void select_as(bool l2, bool is_half, size_t probed, const cordwood_flat_codes *codes,
                      uint32_t first, uint32_t count, const uint64_t *allowed,
                      const cordwood_flat_probe *probes, cordwood_flat_selection *selections) {
    const size_t steps = group_steps(codes->quantizer);
    for (uint32_t row = 0; row < count; row += TILE_ROWS) {
        const uint32_t left = count - row;
        const uint64_t present = left < TILE_ROWS ? ((uint64_t)1 << left) - 1 : ~(uint64_t)0;
        const size_t at = first + row, width = tile_width(left);
        asked_rows rows = {
            .codes = codes->codes + at / CORDWOOD_FLAT_GROUP * steps * STEP_BYTES,
            .width = width,
            .terms = l2 ? codes->terms + at : NULL,
            .errors = codes->errors + at,
            .first = row,
            .asked = present & (allowed ? allowed[row / TILE_ROWS] : ~(uint64_t)0),
        };
        // Half of a tile takes as long as all of it, which is read in order.
        if (width == CORDWOOD_FLAT_TILE_GROUPS && asked_groups(rows.asked) > 1) {
            select_rows(l2, is_half, probed, CORDWOOD_FLAT_TILE_GROUPS, steps, &rows, probes,
                        selections);
            continue;
        }
        for (; rows.asked; rows.asked >>= CORDWOOD_FLAT_GROUP) {
            if (rows.asked & 0xffff) {
                select_rows(l2, is_half, probed, 1, steps, &rows, probes, selections);
            }
            rows.codes += STEP_BYTES;
            rows.terms += l2 ? CORDWOOD_FLAT_GROUP : 0;
            rows.errors += CORDWOOD_FLAT_GROUP;
            rows.first += CORDWOOD_FLAT_GROUP;
        }
    }
}

static void select_codes(const cordwood_flat_codes *codes, uint32_t first, uint32_t count,
                         const uint64_t *allowed, const cordwood_flat_probe *probes,
                         size_t probe_count, cordwood_flat_selection *selections) {
    const bool l2 = codes->quantizer->metric == CORDWOOD_L2;
    const bool is_half = codes->quantizer->bits == 4;
    for (size_t i = 0; i < probe_count; i++) {
        selections[i].count = 0;
    }
#define SELECT(l2, is_half, probed, i)                                                             \
    select_as(l2, is_half, probed, codes, first, count, allowed, probes + (i), selections + (i))
#define SELECT_BY_KIND(probed, i)                                                                  \
    do {                                                                                           \
        if (l2 && is_half) {                                                                       \
            SELECT(true, true, probed, i);                                                         \
        } else if (l2) {                                                                           \
            SELECT(true, false, probed, i);                                                        \
        } else if (is_half) {                                                                      \
            SELECT(false, true, probed, i);                                                        \
        } else {                                                                                   \
            SELECT(false, false, probed, i);                                                       \
        }                                                                                          \
    } while (0)
    if (probe_count == CORDWOOD_FLAT_PROBES) {
        SELECT_BY_KIND(CORDWOOD_FLAT_PROBES, 0);
        return;
    }
    for (size_t i = 0; i < probe_count; i++) {
        SELECT_BY_KIND(1, i);
    }
#undef SELECT_BY_KIND
#undef SELECT
}

const cordwood_flat_kernels KERNELS = {SUPPORTED, select_codes};
