// Searches that compare all that is allowed: for one query, and for several that share the reading.

#include "../flat/flat.h"
#include "../topk/shortlist.h"
#include "results.h"

enum { SCANNED_AT_ONCE = 64 };

_Static_assert(CORDWOOD_FLAT_BLOCK % SCANNED_AT_ONCE == 0, "a block is gathered whole");

// MARK: One query

/// Keeps the `capacity` nearest candidates in order. Of many, few are near enough to get this far.
static void keep_nearest(cordwood_candidate *pool, uint32_t *count, uint32_t capacity,
                         cordwood_candidate candidate) {
    if (*count == capacity && !(candidate.distance < pool[capacity - 1].distance)) {
        return;
    }
    uint32_t place = *count < capacity ? (*count)++ : capacity - 1;
    for (; place > 0 && pool[place - 1].distance > candidate.distance; place--) {
        pool[place] = pool[place - 1];
    }
    pool[place] = candidate;
}

/// The next nodes that are allowed, from `*next` on; returns their number.
static uint32_t next_nodes(const cordwood_hnsw *index, const cordwood_hnsw_filter *filter,
                           uint32_t *next, uint32_t nodes[SCANNED_AT_ONCE]) {
    const uint32_t end = index->graph.levels[0].count;
    uint32_t count = 0, node = *next;
    while (node < end && count < SCANNED_AT_ONCE) {
        if (filter) {
            uint64_t bits = filter->nodes[node / 64] >> node % 64;
            if (bits == 0) {
                node += 64 - node % 64;
                continue;
            }
            node += (uint32_t)__builtin_ctzll(bits);
        }
        nodes[count++] = node++;
    }
    *next = node < end ? node : end;
    return count;
}

void cordwood_hnsw_scan(const cordwood_hnsw *index, const float *vector,
                        const cordwood_hnsw_filter *filter, uint32_t refined,
                        cordwood_hnsw_scratch *scratch, cordwood_topk *topk) {
    prepared_query query;
    prepare(index, vector, scratch->query, scratch->components, &query);
    const bool has_codes = index->rows.kind == CORDWOOD_ROW_CODES;
    const bool by_codes = has_codes && (refined > 0 || !index->exact);
    const bool is_exact = !by_codes && index->exact;
    const uint8_t *rows = is_exact ? index->exact : index->rows.rows;
    const size_t stride = is_exact ? index->exact_stride : index->rows.stride;
    cordwood_candidate *pool = scratch->walk.pool;
    uint32_t nodes[SCANNED_AT_ONCE], pooled = 0, count;
    for (uint32_t next = 0; (count = next_nodes(index, filter, &next, nodes)) > 0;) {
        *(is_exact ? &scratch->exact_count : &scratch->walk.distance_count) += count;
        const uint8_t *addresses[SCANNED_AT_ONCE];
        float distances[SCANNED_AT_ONCE];
        for (uint32_t i = 0; i < count; i++) {
            addresses[i] = rows + nodes[i] * stride;
        }
        if (by_codes) {
            cordwood_code_distances(index->rows.quantizer, &query.codes, addresses, count,
                                    distances);
        } else if (is_exact) {
            cordwood_element_distances(&query.exact, (const void *const *)addresses, count,
                                       distances);
        } else {
            cordwood_f32_distances(&query.floats, (const float *const *)addresses, count,
                                   distances);
        }
        for (uint32_t i = 0; i < count; i++) {
            cordwood_candidate candidate = {distances[i], nodes[i]};
            if (refined > 0) {
                keep_nearest(pool, &pooled, refined, candidate);
            } else if (!(distances[i] > topk->threshold)) {
                offer_vectors(index, candidate, filter, topk);
            }
        }
    }
    if (refined > 0) {
        offer_pool(index, &query.exact, scratch, pooled, refined, filter, topk);
    }
}

// MARK: Several queries

/// Writes component words of a row where its group's steps have them; see `cordwood_flat_codes`.
static void interleave(const cordwood_quantizer *quantizer, const uint8_t *row, size_t step_stride,
                       uint8_t *codes) {
    const size_t bytes = cordwood_code_bytes(quantizer);
    if (quantizer->bits == 8) {
        for (size_t at = 0; at < quantizer->dimensions; at += STEP_CODES, codes += step_stride) {
            memcpy(codes, row + at, STEP_CODES);
        }
        return;
    }
    for (size_t at = 0; at < quantizer->dimensions; at += 2 * STEP_CODES, codes += step_stride) {
        for (size_t i = 0; i < STEP_CODES; i++) {
            uint8_t halves[2];
            for (size_t half = 0; half < 2; half++) {
                const size_t d = at + half * STEP_CODES + i;
                halves[half] = d < bytes ? row[d] & 15 : row[d - bytes] >> 4;
            }
            codes[i] = (uint8_t)(halves[0] | halves[1] << 4);
        }
    }
}

/// Gathers the next rows that are allowed; returns their number.
static uint32_t gather(const cordwood_hnsw *index, const cordwood_hnsw_filter *filter,
                       uint32_t *next, cordwood_hnsw_tiles *tiles) {
    const cordwood_graph_rows *rows = &index->rows;
    const cordwood_quantizer *quantizer = rows->quantizer;
    const size_t steps = group_steps(quantizer), bytes = cordwood_code_bytes(quantizer);
    uint32_t count = 0, more;
    while (count < CORDWOOD_FLAT_BLOCK &&
           (more = next_nodes(index, filter, next, tiles->nodes + count)) > 0) {
        count += more;
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t tile = i / TILE_ROWS * TILE_ROWS;
        const size_t width = tile_width(count - tile);
        const uint8_t *row = rows->rows + tiles->nodes[i] * rows->stride;
        interleave(quantizer, row, width * STEP_BYTES,
                   tiles->codes + tile / CORDWOOD_FLAT_GROUP * steps * STEP_BYTES +
                       (i - tile) / CORDWOOD_FLAT_GROUP * STEP_BYTES +
                       i % CORDWOOD_FLAT_GROUP * STEP_CODES);
        if (quantizer->metric == CORDWOOD_L2) {
            memcpy(tiles->terms + i, row + bytes, sizeof(float));
        }
    }
    return count;
}

/// Adds to the shortlists of up to CORDWOOD_FLAT_PROBES queries what of the gathered rows is near.
static void select_gathered(const cordwood_flat_codes *codes, const cordwood_hnsw_tiles *tiles,
                            uint32_t rows, cordwood_hnsw_shared_query *queries, size_t count) {
    cordwood_flat_probe probes[CORDWOOD_FLAT_PROBES];
    cordwood_flat_selection selections[CORDWOOD_FLAT_PROBES];
    for (size_t i = 0; i < count; i++) {
        probes[i] = (cordwood_flat_probe){&queries[i].codes, queries[i].nearest.threshold, 0, 0};
    }
    cordwood_flat_select(codes, 0, rows, NULL, probes, count, selections);
    for (size_t i = 0; i < count; i++) {
        const cordwood_flat_selection *selection = &selections[i];
        cordwood_shortlist *nearest = &queries[i].nearest;
        for (uint32_t k = 0; k < selection->count; k++) {
            if (!(selection->distances[k] > nearest->threshold)) {
                shortlist_add(nearest, selection->distances + k, 1,
                              tiles->nodes[selection->rows[k]]);
            }
        }
    }
}

void cordwood_hnsw_scan_shared(const cordwood_hnsw *index, const cordwood_hnsw_filter *filter,
                               cordwood_hnsw_shared_query *queries, size_t count, uint32_t refined,
                               cordwood_hnsw_tiles *tiles, cordwood_hnsw_scratch *scratch) {
    prepared_query prepared;
    for (size_t i = 0; i < count; i++) {
        cordwood_hnsw_shared_query *query = &queries[i];
        prepare(index, query->vector, scratch->query, query->components, &prepared);
        query->codes = prepared.codes;
        cordwood_shortlist_init(&query->nearest, query->keys, refined,
                                CORDWOOD_HNSW_SHARED_KEYS(refined));
    }
    // The distances are compared as they are: codes have lost nothing that this could find again.
    memset(tiles->errors, 0, sizeof tiles->errors);
    const cordwood_flat_codes codes = {index->rows.quantizer, tiles->codes, tiles->terms,
                                       tiles->errors, NULL};
    uint32_t rows;
    for (uint32_t next = 0; (rows = gather(index, filter, &next, tiles)) > 0;) {
        scratch->walk.distance_count += rows;
        for (size_t i = 0; i < count; i += CORDWOOD_FLAT_PROBES) {
            const size_t left = count - i;
            select_gathered(&codes, tiles, rows, queries + i,
                            left < CORDWOOD_FLAT_PROBES ? left : (size_t)CORDWOOD_FLAT_PROBES);
        }
    }
    for (size_t i = 0; i < count; i++) {
        cordwood_shortlist *nearest = &queries[i].nearest;
        cordwood_shortlist_cut(nearest);
        cordwood_keys_sort(nearest->keys, nearest->count);
        for (uint32_t k = 0; k < nearest->count; k++) {
            scratch->walk.pool[k] = (cordwood_candidate){cordwood_key_distance(nearest->keys[k]),
                                                         (uint32_t)nearest->keys[k]};
        }
        prepare(index, queries[i].vector, scratch->query, queries[i].components, &prepared);
        offer_pool(index, &prepared.exact, scratch, nearest->count, refined, filter,
                   queries[i].topk);
    }
}
