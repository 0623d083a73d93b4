// Many queries against many rows with AVX-512: the matrix product and the comparison with the
// thresholds in one pass, so that products never leave the registers. Bound by the throughput of
// fused multiply-adds: 24 of them to 14 loads.
//
// Rows are transposed into panels of 32, so that a register holds one component of 16 rows; a block
// of 12 queries by 32 rows sums in 24 registers over all dimensions. The panels of a tile stay in
// the second cache while every query passes over them; the 12 queries stay in the first. Of the
// last queries there may be fewer: a block then has 4 or 8.

#include "ahead.h"
#include "f32.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#pragma clang attribute push(                                                                      \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), apply_to = function)

enum {
    PANEL_ROWS = 32,
    BLOCK_QUERIES = 12,
    /// What the panels of a tile may take of the second cache.
    TILE_FLOATS = 98304,
};

/// Components of a row in a panel: whole registers.
static size_t panel_components(size_t dimensions) { return (dimensions + 15) / 16 * 16; }

/// Rows of a tile: as many panels as fit, or none where not one does.
static size_t tile_rows(size_t dimensions) {
    return TILE_FLOATS / panel_components(dimensions) / PANEL_ROWS * PANEL_ROWS;
}

size_t cordwood_f32_batch_scratch_avx512(size_t dimensions) {
    return tile_rows(dimensions) * panel_components(dimensions);
}

/// Transposes of 16 rows the 16 floats from `first` on that `mask` names, and zeros: component i of
/// the rows goes to `out + i * PANEL_ROWS`.
static inline __attribute__((always_inline)) void
transpose(const float *const rows[16], size_t first, __mmask16 mask, float *out) {
    __m512 pairs[16], quads[16], halves[16];
    for (int i = 0; i < 16; i += 2) {
        __m512 even = _mm512_maskz_loadu_ps(mask, rows[i] + first);
        __m512 odd = _mm512_maskz_loadu_ps(mask, rows[i + 1] + first);
        pairs[i] = _mm512_unpacklo_ps(even, odd);
        pairs[i + 1] = _mm512_unpackhi_ps(even, odd);
    }
    // Lane l of quads[4g + c] has component 4l + c of rows 4g to 4g + 3.
    for (int i = 0; i < 16; i += 4) {
        __m512d low = _mm512_castps_pd(pairs[i]), high = _mm512_castps_pd(pairs[i + 1]);
        __m512d next_low = _mm512_castps_pd(pairs[i + 2]);
        __m512d next_high = _mm512_castps_pd(pairs[i + 3]);
        quads[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, next_low));
        quads[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, next_low));
        quads[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(high, next_high));
        quads[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(high, next_high));
    }
    // halves[c + 4h]: lanes 0, 2 (h even) or 1, 3 (h odd) of row groups 0, 1 (h < 2) or 2, 3.
    for (int c = 0; c < 4; c++) {
        halves[c] = _mm512_shuffle_f32x4(quads[c], quads[4 + c], 0x88);
        halves[c + 4] = _mm512_shuffle_f32x4(quads[c], quads[4 + c], 0xdd);
        halves[c + 8] = _mm512_shuffle_f32x4(quads[8 + c], quads[12 + c], 0x88);
        halves[c + 12] = _mm512_shuffle_f32x4(quads[8 + c], quads[12 + c], 0xdd);
    }
    for (int c = 0; c < 4; c++) {
        _mm512_storeu_ps(out + (c + 0) * PANEL_ROWS,
                         _mm512_shuffle_f32x4(halves[c], halves[c + 8], 0x88));
        _mm512_storeu_ps(out + (c + 8) * PANEL_ROWS,
                         _mm512_shuffle_f32x4(halves[c], halves[c + 8], 0xdd));
        _mm512_storeu_ps(out + (c + 4) * PANEL_ROWS,
                         _mm512_shuffle_f32x4(halves[c + 4], halves[c + 12], 0x88));
        _mm512_storeu_ps(out + (c + 12) * PANEL_ROWS,
                         _mm512_shuffle_f32x4(halves[c + 4], halves[c + 12], 0xdd));
    }
}

/// Writes `count` rows (1 to 32) from row `first` on as a panel; missing ones repeat the first.
static void pack(const cordwood_f32_rows *rows, size_t first, size_t count, size_t dimensions,
                 float *panel) {
    for (size_t i = 0; i < count * rows->stride; i += CACHE_LINE_FLOATS) {
        read_ahead(rows->rows + first * rows->stride + i);
    }
    for (size_t half = 0; half < PANEL_ROWS; half += 16) {
        const float *sources[16];
        for (size_t lane = 0; lane < 16; lane++) {
            size_t row = first + (half + lane < count ? half + lane : 0);
            sources[lane] = rows->rows + row * rows->stride;
        }
        for (size_t i = 0; i < dimensions; i += 16) {
            const size_t left = dimensions - i;
            const __mmask16 mask = left < 16 ? (__mmask16)((1u << left) - 1) : (__mmask16)0xffff;
            transpose(sources, i, mask, panel + i * PANEL_ROWS + half);
        }
    }
}

/// The products of some queries with the 32 rows of a panel.
static inline __attribute__((always_inline)) void
block_products(int width, const float *const queries[BLOCK_QUERIES], const float *panel,
               size_t dimensions, __m512 products[BLOCK_QUERIES][2]) {
    for (int query = 0; query < width; query++) {
        products[query][0] = products[query][1] = _mm512_setzero_ps();
    }
    for (size_t i = 0; i < dimensions; i++) {
        __m512 low = _mm512_loadu_ps(panel + i * PANEL_ROWS);
        __m512 high = _mm512_loadu_ps(panel + i * PANEL_ROWS + 16);
        for (int query = 0; query < width; query++) {
            __m512 component = _mm512_set1_ps(queries[query][i]);
            products[query][0] = _mm512_fmadd_ps(component, low, products[query][0]);
            products[query][1] = _mm512_fmadd_ps(component, high, products[query][1]);
        }
    }
}

/// Offers the rows of a panel, `first` to `first + count`, to the heaps of up to `width` queries,
/// which is known when the loop is compiled.
static inline __attribute__((always_inline)) void
block_of(int width, const cordwood_f32_tile_input *input, size_t first_query, size_t queries,
         const float *panel, size_t first, size_t count, cordwood_topk *topks) {
    const float *vectors[BLOCK_QUERIES];
    for (int query = 0; query < width; query++) {
        size_t index = first_query + ((size_t)query < queries ? (size_t)query : 0);
        vectors[query] = input->queries + index * input->query_stride;
    }
    __m512 products[BLOCK_QUERIES][2];
    block_products(width, vectors, panel, input->dimensions, products);

    unsigned present = count < PANEL_ROWS ? (1u << count) - 1 : ~0u;
    __m512 terms[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
    if (input->row_terms) {
        const float *row_terms = input->row_terms + first;
        terms[0] = _mm512_maskz_loadu_ps((__mmask16)present, row_terms);
        terms[1] = _mm512_maskz_loadu_ps((__mmask16)(present >> 16), row_terms + 16);
    }
    const __m512 factor = _mm512_set1_ps(input->factor);
    unsigned masks[BLOCK_QUERIES];
    for (int query = 0; query < width; query++) {
        size_t index = first_query + ((size_t)query < queries ? (size_t)query : 0);
        __m512 limit = _mm512_set1_ps(topks[index].threshold - input->query_terms[index]);
        unsigned low = _mm512_cmp_ps_mask(_mm512_fmadd_ps(factor, products[query][0], terms[0]),
                                          limit, _CMP_NGT_UQ);
        unsigned high = _mm512_cmp_ps_mask(_mm512_fmadd_ps(factor, products[query][1], terms[1]),
                                           limit, _CMP_NGT_UQ);
        masks[query] = (low | high << 16) & present;
    }
    for (size_t query = 0; query < queries; query++) {
        if (__builtin_expect(masks[query] != 0, 0)) {
            cordwood_f32_query single = {vectors[query], input->dimensions, input->metric,
                                         input->base};
            cordwood_f32_offer_avx512(&single, &input->rows, first, masks[query],
                                      &topks[first_query + query]);
        }
    }
}

static void block(const cordwood_f32_tile_input *input, size_t first_query, size_t queries,
                  const float *panel, size_t first, size_t count, cordwood_topk *topks) {
    if (queries <= 4) {
        block_of(4, input, first_query, queries, panel, first, count, topks);
    } else if (queries <= 8) {
        block_of(8, input, first_query, queries, panel, first, count, topks);
    } else {
        block_of(BLOCK_QUERIES, input, first_query, queries, panel, first, count, topks);
    }
}

void cordwood_f32_batch_avx512(const cordwood_f32_tile_input *input, float *scratch,
                               cordwood_topk *topks) {
    const size_t rows = input->rows.count, components = panel_components(input->dimensions);
    const size_t tile = tile_rows(input->dimensions);
    for (size_t start = 0; start < rows; start += tile) {
        size_t end = rows - start < tile ? rows : start + tile;
        for (size_t first = start; first < end; first += PANEL_ROWS) {
            size_t count = end - first < PANEL_ROWS ? end - first : PANEL_ROWS;
            pack(&input->rows, first, count, input->dimensions,
                 scratch + (first - start) * components);
        }
        for (size_t query = 0; query < input->query_count; query += BLOCK_QUERIES) {
            size_t left = input->query_count - query;
            for (size_t first = start; first < end; first += PANEL_ROWS) {
                size_t count = end - first < PANEL_ROWS ? end - first : PANEL_ROWS;
                block(input, query, left < BLOCK_QUERIES ? left : BLOCK_QUERIES,
                      scratch + (first - start) * components, first, count, topks);
            }
        }
    }
}

#pragma clang attribute pop
#endif
