/// The scan over rows of codes one behind the other, compiled once for each instruction set: the
/// file that includes this has included `rows.h` of graphs.
#pragma once

enum {
    /// What is asked for ahead in a scan: the processor's own fetching ahead stops at each page,
    /// and
    /// is not set off by loads that are masked.
    CODE_BYTES_AHEAD = 8192,
    CODE_LINE = 64,
};

#ifndef HAS_SIXTEEN_DOTS
/// The sums over each pair of four queries and four rows.
INLINE void sixteen_dots(bool is_half, const int8_t *const queries[4], const uint8_t *const rows[4],
                         size_t bytes, int32_t dots[4][4]) {
    for (int query = 0; query < 4; query++) {
        const int8_t *same[4] = {queries[query], queries[query], queries[query], queries[query]};
        four_dots(is_half, same, rows, bytes, dots[query]);
    }
}
#endif

/// Adds those of four rows, of which `present` are there, that are not beyond the limit: what is
/// not a number is not.
INLINE void select_four(const float distances[4], float limit, uint32_t row, uint32_t present,
                        cordwood_code_selection *selection) {
    unsigned mask = 0;
    for (unsigned k = 0; k < 4; k++) {
        mask |= (unsigned)!(distances[k] > limit) << k;
    }
    mask &= (1u << present) - 1;
    for (; __builtin_expect(mask != 0, 0); mask &= mask - 1) {
        unsigned k = (unsigned)__builtin_ctz(mask);
        selection->rows[selection->count] = row + k;
        selection->distances[selection->count++] = distances[k];
    }
}

/// For one query or for four.
INLINE void select_as(bool l2, bool is_half, bool is_one, const cordwood_code_query *const *queries,
                      const float *limits, const uint8_t *rows, size_t stride, uint32_t count,
                      size_t bytes, cordwood_code_selection *selections) {
    const int queried = is_one ? 1 : CORDWOOD_SELECTED_QUERIES;
    for (uint32_t row = 0; row < count; row += 4) {
        const uint8_t *four[4];
        const uint32_t present = count - row < 4 ? count - row : 4;
        for (uint32_t k = 0; k < 4; k++) {
            four[k] = rows + (row + (k < present ? k : 0)) * stride;
        }
        for (size_t i = 0; i < 4 * stride; i += CODE_LINE) {
            __builtin_prefetch((const void *)((uintptr_t)four[0] + CODE_BYTES_AHEAD + i));
        }
        int32_t dots[4][4];
        if (is_one) {
            const int8_t *one = queries[0]->components, *same[4] = {one, one, one, one};
            four_dots(is_half, same, four, bytes, dots[0]);
        } else {
            const int8_t *each[4] = {queries[0]->components, queries[1]->components,
                                     queries[2]->components, queries[3]->components};
            sixteen_dots(is_half, each, four, bytes, dots);
        }
        for (int query = 0; query < queried; query++) {
            const cordwood_code_query *own = queries[query], *same[4] = {own, own, own, own};
            float distances[4];
            distances_of_dots(l2, same, four, bytes, dots[query], distances);
            select_four(distances, limits[query], row, present, &selections[query]);
        }
    }
}

static void select_codes(const cordwood_quantizer *quantizer,
                         const cordwood_code_query *const *queries, const float *limits,
                         size_t query_count, const uint8_t *rows, uint32_t count,
                         cordwood_code_selection *selections) {
    const size_t stride = code_stride(quantizer), bytes = code_bytes(quantizer);
    const bool l2 = quantizer->metric == CORDWOOD_L2, is_half = quantizer->bits == 4;
    for (size_t query = 0; query < query_count; query++) {
        selections[query].count = 0;
    }
#define SELECT(l2, is_half, is_one, first)                                                         \
    select_as(l2, is_half, is_one, queries + (first), limits + (first), rows, stride, count,       \
              bytes, selections + (first))
#define SELECT_BY_KIND(is_one, first)                                                              \
    do {                                                                                           \
        if (l2 && is_half) {                                                                       \
            SELECT(true, true, is_one, first);                                                     \
        } else if (l2) {                                                                           \
            SELECT(true, false, is_one, first);                                                    \
        } else if (is_half) {                                                                      \
            SELECT(false, true, is_one, first);                                                    \
        } else {                                                                                   \
            SELECT(false, false, is_one, first);                                                   \
        }                                                                                          \
    } while (0)
    if (query_count == CORDWOOD_SELECTED_QUERIES) {
        SELECT_BY_KIND(false, 0);
        return;
    }
    for (size_t query = 0; query < query_count; query++) {
        SELECT_BY_KIND(true, query);
    }
#undef SELECT_BY_KIND
#undef SELECT
}
