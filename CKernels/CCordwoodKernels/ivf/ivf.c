// The whole search of one query.

#include "../include/cordwood_ivf.h"

#include "../topk/shortlist.h"

#include <math.h>
#include <string.h>

_Static_assert((int)CORDWOOD_RABITQ_BLOCK == (int)CORDWOOD_PQ_BLOCK, "lists have the same blocks");

enum { AT_ONCE = 64, REFINED_AT_ONCE = 16, CACHE_LINE = 64, PREFETCHED_LINES = 8 };
/// How much of the next list is asked for: the processor finds the rest by itself.
enum { AHEAD_BYTES = 3072 };

/// One search under way.
typedef struct {
    const cordwood_ivf *index;
    const uint64_t *allowed;
    cordwood_ivf_scratch *scratch;
    cordwood_topk *topk;
    cordwood_f32_query floats;
    /// Of the lists' codes.
    cordwood_code_query codes;
    cordwood_pq_query tables;
    cordwood_rabitq_query rabitq;
    cordwood_shortlist shortlist;
} search_state;

static inline bool is_allowed(const uint64_t *allowed, uint32_t place) {
    return allowed[place / 64] >> place % 64 & 1;
}

/// How many of the places from `first` up to `last` are allowed.
static uint32_t allowed_count(const uint64_t *allowed, uint32_t first, uint32_t last) {
    uint32_t count = 0;
    while (first < last) {
        uint32_t end = (first / 64 + 1) * 64 < last ? (first / 64 + 1) * 64 : last;
        uint64_t word = allowed[first / 64] >> first % 64;
        uint32_t bits = end - first;
        count +=
            (uint32_t)__builtin_popcountll(bits < 64 ? word & (((uint64_t)1 << bits) - 1) : word);
        first = end;
    }
    return count;
}

static void begin(search_state *state, const cordwood_ivf *index, const float *vector,
                  const uint64_t *allowed, cordwood_ivf_scratch *scratch, cordwood_topk *topk) {
    if (index->normalizes) {
        cordwood_f32_normalize(vector, index->dimensions, scratch->query);
    } else {
        memcpy(scratch->query, vector, index->dimensions * sizeof(float));
    }
    *state = (search_state){.index = index, .allowed = allowed, .scratch = scratch, .topk = topk};
    state->floats =
        (cordwood_f32_query){scratch->query, index->dimensions, index->metric, index->base};
}

// MARK: Lists

/// Ranks all lists by their centroids' codes, and writes the `wanted` nearest, nearest first.
static uint32_t rank_lists(search_state *state, uint32_t wanted) {
    const cordwood_ivf *index = state->index;
    cordwood_ivf_scratch *scratch = state->scratch;
    cordwood_code_query query;
    cordwood_code_query_prepare(index->ranking, scratch->query, scratch->components, &query);
    const size_t stride = cordwood_code_stride(index->ranking);
    cordwood_shortlist nearest;
    cordwood_shortlist_init(&nearest, scratch->lists, wanted,
                            2 * (wanted + CORDWOOD_SHORTLIST_STEP));
    const uint8_t *addresses[AT_ONCE];
    for (uint32_t first = 0; first < index->list_count; first += AT_ONCE) {
        uint32_t left = index->list_count - first, count = left < AT_ONCE ? left : AT_ONCE;
        for (uint32_t i = 0; i < count; i++) {
            addresses[i] = index->ranking_codes + (first + i) * stride;
        }
        float *distances = scratch->distances + first;
        cordwood_code_distances(index->ranking, &query, addresses, count, distances);
        for (uint32_t half = 0; half < count; half += CORDWOOD_SHORTLIST_STEP) {
            uint32_t mask = 0;
            for (uint32_t i = 0; i < CORDWOOD_SHORTLIST_STEP && half + i < count; i++) {
                mask |= (uint32_t) !(distances[half + i] > nearest.threshold) << i;
            }
            if (mask) {
                shortlist_add(&nearest, distances + half, mask, first + half);
            }
        }
    }
    cordwood_shortlist_cut(&nearest);
    cordwood_keys_sort(nearest.keys, nearest.count);
    return nearest.count;
}

/// The lists behind those that were looked for at first.
static uint32_t rank_all_lists(search_state *state) {
    const uint32_t count = state->index->list_count;
    for (uint32_t list = 0; list < count; list++) {
        state->scratch->lists[list] = shortlist_key(state->scratch->distances[list], list);
    }
    cordwood_keys_sort(state->scratch->lists, count);
    return count;
}

/// The places from `next` on that are allowed, at most `room` of them.
static uint32_t allowed_places(const uint64_t *allowed, uint32_t *next, uint32_t last,
                               uint32_t room, uint32_t *places) {
    uint32_t count = 0, place = *next;
    for (; place < last && count < room; place++) {
        if (!allowed || is_allowed(allowed, place)) {
            places[count++] = place;
        } else if (place % 64 == 0 && allowed[place / 64] == 0) {
            place += 63;
        }
    }
    *next = place < last ? place : last;
    return count;
}

static void scan_floats(search_state *state, uint32_t first, uint32_t last) {
    const cordwood_ivf *index = state->index;
    if (!state->allowed) {
        cordwood_f32_rows rows = {index->exact + first * index->dimensions, index->dimensions,
                                  last - first, index->ids + first};
        cordwood_f32_scan(&state->floats, &rows, state->topk);
        return;
    }
    uint32_t places[AT_ONCE], count;
    while ((count = allowed_places(state->allowed, &first, last, AT_ONCE, places)) > 0) {
        const float *rows[AT_ONCE];
        float distances[AT_ONCE];
        for (uint32_t i = 0; i < count; i++) {
            rows[i] = index->exact + places[i] * index->dimensions;
        }
        cordwood_f32_distances(&state->floats, rows, count, distances);
        for (uint32_t i = 0; i < count; i++) {
            if (!(distances[i] > state->topk->threshold)) {
                cordwood_topk_push(state->topk, distances[i], index->ids[places[i]]);
            }
        }
    }
}

static void scan_codes(search_state *state, uint32_t first, uint32_t last) {
    const cordwood_ivf *index = state->index;
    const size_t stride = cordwood_code_stride(index->quantizer);
    uint32_t places[CORDWOOD_SHORTLIST_STEP], count;
    while ((count = allowed_places(state->allowed, &first, last, CORDWOOD_SHORTLIST_STEP, places)) >
           0) {
        const uint8_t *rows[CORDWOOD_SHORTLIST_STEP];
        float distances[CORDWOOD_SHORTLIST_STEP];
        for (uint32_t i = 0; i < count; i++) {
            rows[i] = index->codes + places[i] * stride;
        }
        cordwood_code_distances(index->quantizer, &state->codes, rows, count, distances);
        for (uint32_t i = 0; i < count; i++) {
            if (!(distances[i] > state->shortlist.threshold)) {
                shortlist_add(&state->shortlist, distances + i, 1, places[i]);
            }
        }
    }
}

/// Offers to the heap what the bounds of the list's codes cannot tell to be farther than what is
/// there, at exact distances where there are exact rows.
static void scan_rabitq(search_state *state, uint32_t list) {
    const cordwood_ivf *index = state->index;
    const uint32_t first = index->starts[list];
    cordwood_rabitq_prepare(index->rabitq, index->centers + list * index->rabitq->dimensions,
                            state->scratch->rotated, state->scratch->rabitq_room, &state->rabitq);
    const cordwood_rabitq_list rows = {
        index->starts[list + 1] - first,
        index->codes + cordwood_rabitq_block_bytes(index->rabitq, (size_t)index->blocks[list] *
                                                                      CORDWOOD_RABITQ_BLOCK),
        index->extra + first * cordwood_rabitq_row_bytes(index->rabitq),
        index->ids + first,
        first,
        index->exact ? index->exact + first * index->dimensions : NULL,
        index->dimensions};
    cordwood_rabitq_scan(index->rabitq, &rows, &state->rabitq, &state->floats, state->allowed,
                         state->topk);
}

static void scan_list(search_state *state, uint32_t list) {
    const cordwood_ivf *index = state->index;
    const uint32_t first = index->starts[list], last = index->starts[list + 1];
    switch (index->kind) {
    case CORDWOOD_LIST_F32:
        scan_floats(state, first, last);
        return;
    case CORDWOOD_LIST_CODES:
        scan_codes(state, first, last);
        return;
    case CORDWOOD_LIST_PQ: {
        const float *centroid = index->centroids + list * index->dimensions;
        float base;
        cordwood_f32_distances(&state->floats, &centroid, 1, &base);
        cordwood_pq_rows rows = {index->codes +
                                     index->blocks[list] * cordwood_pq_block_bytes(index->pq),
                                 last - first, first, base, state->allowed};
        cordwood_pq_scan(&state->tables, &rows, &state->shortlist);
        return;
    }
    case CORDWOOD_LIST_RABITQ:
        scan_rabitq(state, list);
    }
}

/// Asks for the beginning of a list.
static void prefetch_list(const cordwood_ivf *index, uint32_t list) {
    const uint8_t *bytes = NULL;
    switch (index->kind) {
    case CORDWOOD_LIST_F32:
        bytes = (const uint8_t *)(index->exact + index->starts[list] * index->dimensions);
        break;
    case CORDWOOD_LIST_CODES:
        bytes = index->codes + index->starts[list] * cordwood_code_stride(index->quantizer);
        break;
    case CORDWOOD_LIST_PQ:
        bytes = index->codes + index->blocks[list] * cordwood_pq_block_bytes(index->pq);
        break;
    case CORDWOOD_LIST_RABITQ:
        bytes = index->codes +
                cordwood_rabitq_block_bytes(index->rabitq,
                                            (size_t)index->blocks[list] * CORDWOOD_RABITQ_BLOCK);
        break;
    }
    for (size_t byte = 0; byte < AHEAD_BYTES; byte += CACHE_LINE) {
        __builtin_prefetch(bytes + byte);
    }
    __builtin_prefetch(index->centroids + list * index->dimensions);
}

// MARK: Refining

static void offer_codes(search_state *state) {
    const cordwood_shortlist *list = &state->shortlist;
    for (uint32_t i = 0; i < list->count; i++) {
        float distance = cordwood_key_distance(list->keys[i]);
        if (!(distance > state->topk->threshold)) {
            cordwood_topk_push(state->topk, distance, state->index->ids[(uint32_t)list->keys[i]]);
        }
    }
}

/// Asks for the rows of some of the shortlist.
static void prefetch_rows(const search_state *state, uint32_t first, uint32_t last) {
    const cordwood_ivf *index = state->index;
    const size_t bytes = index->dimensions * sizeof(float);
    for (uint32_t i = first; i < last && i < state->shortlist.count; i++) {
        const uint8_t *row = (const uint8_t *)(index->exact + (uint32_t)state->shortlist.keys[i] *
                                                                  index->dimensions);
        for (size_t byte = 0; byte < bytes && byte < PREFETCHED_LINES * CACHE_LINE;
             byte += CACHE_LINE) {
            __builtin_prefetch(row + byte);
        }
    }
}

/// Offers the shortlist at exact distances. Bound by the latency of memory: each row lies where no
/// one could have foreseen, so the next ones are asked for while some are compared.
static void refine(search_state *state) {
    const cordwood_ivf *index = state->index;
    prefetch_rows(state, 0, REFINED_AT_ONCE);
    for (uint32_t first = 0; first < state->shortlist.count; first += REFINED_AT_ONCE) {
        prefetch_rows(state, first + REFINED_AT_ONCE, first + 2 * REFINED_AT_ONCE);
        const uint64_t *keys = state->shortlist.keys + first;
        uint32_t left = state->shortlist.count - first;
        uint32_t count = left < REFINED_AT_ONCE ? left : REFINED_AT_ONCE;
        const float *rows[REFINED_AT_ONCE];
        float distances[REFINED_AT_ONCE];
        for (uint32_t i = 0; i < count; i++) {
            rows[i] = index->exact + (uint32_t)keys[i] * index->dimensions;
        }
        cordwood_f32_distances(&state->floats, rows, count, distances);
        for (uint32_t i = 0; i < count; i++) {
            if (!(distances[i] > state->topk->threshold)) {
                cordwood_topk_push(state->topk, distances[i], index->ids[(uint32_t)keys[i]]);
            }
        }
    }
}

// MARK: Searching

/// Makes the query ready for the kind of lists that there are.
static void prepare_lists(search_state *state, uint32_t refined) {
    const cordwood_ivf *index = state->index;
    cordwood_ivf_scratch *scratch = state->scratch;
    switch (index->kind) {
    case CORDWOOD_LIST_F32:
        return;
    case CORDWOOD_LIST_CODES:
        cordwood_code_query_prepare(index->quantizer, scratch->query, scratch->components,
                                    &state->codes);
        break;
    case CORDWOOD_LIST_PQ:
        cordwood_pq_query_prepare(index->pq, scratch->query, index->metric == CORDWOOD_L2 ? -2 : -1,
                                  scratch->table_floats, scratch->table_bytes, &state->tables);
        break;
    case CORDWOOD_LIST_RABITQ:
        cordwood_rotate(index->rotation, scratch->query, scratch->rotated);
        return;
    }
    cordwood_shortlist_init(&state->shortlist, scratch->keys, refined, scratch->key_room);
}

void cordwood_ivf_search(const cordwood_ivf *index, const float *query,
                         const cordwood_ivf_effort *effort, const uint64_t *allowed,
                         cordwood_ivf_scratch *scratch, cordwood_topk *topk) {
    search_state state;
    begin(&state, index, query, allowed, scratch, topk);
    uint32_t probes = effort->probes < index->list_count ? effort->probes : index->list_count;
    uint32_t ranked = rank_lists(&state, probes);
    prepare_lists(&state, effort->refined);
    double read = 0;
    uint64_t seen = 0;
    for (uint32_t at = 0; at < index->list_count; at++) {
        if (!(read < probes) && seen >= topk->capacity) {
            break;
        }
        if (at == ranked) {
            ranked = rank_all_lists(&state);
        }
        const uint32_t list = (uint32_t)scratch->lists[at];
        if (at + 1 < ranked) {
            prefetch_list(index, (uint32_t)scratch->lists[at + 1]);
        }
        const uint32_t first = index->starts[list], last = index->starts[list + 1];
        uint32_t rows = allowed ? allowed_count(allowed, first, last) : last - first;
        // An empty list was read; one of which nothing is allowed was not.
        read += first == last ? 1 : (double)rows / (last - first);
        seen += rows;
        if (rows > 0) {
            scan_list(&state, list);
        }
    }
    if (index->kind == CORDWOOD_LIST_F32 || index->kind == CORDWOOD_LIST_RABITQ) {
        return;
    }
    cordwood_shortlist_cut(&state.shortlist);
    if (index->exact) {
        refine(&state);
    } else {
        offer_codes(&state);
    }
}

void cordwood_ivf_scan(const cordwood_ivf *index, const float *query, const uint64_t *allowed,
                       cordwood_ivf_scratch *scratch, cordwood_topk *topk) {
    search_state state;
    begin(&state, index, query, allowed, scratch, topk);
    scan_floats(&state, 0, index->starts[index->list_count]);
}
