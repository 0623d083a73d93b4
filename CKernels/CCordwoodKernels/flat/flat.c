// The whole search of some queries. What of it is hot is `cordwood_flat_select`, of each
// instruction set; few rows get further.

#include "../include/cordwood_flat.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum {
    COMPARED_AT_ONCE = 16,
    CACHE_LINE = 64,
    PREFETCHED_LINES = 8,
};

// MARK: Bounds

// Let q be the query, r a row, s what its codes stand for, k those codes, each less half, and x the
// distance of codes. The query's part in a product is scaled by the steps and rounded to whole
// numbers n: what rounding took is a vector o, with |o| known.
//
// x is off from the distance of q and s by |o||k|, twice that for L2, and by the roundings of the
// few floats it is made of. s is off from r by `error`. So, with a for the first:
//
//     L2: |q - r| is within error of |q - s|, the square of which is within a of x
//     Inner product: q·r is within |q| error of q·s, which is within a of x
//
// The distance that is asked for is itself a sum of floats, off by the usual bound of n roundings.
// What is infinite or not a number in any of this makes bounds that pass over nothing.

/// Roundings of a float that a sum of n products is off by, and what underflow takes from it.
static double roundings(size_t dimensions) { return 1.1 * (double)(dimensions + 32) * 0x1p-24; }
static double underflow(size_t dimensions) { return (double)(dimensions + 4) * 0x1p-126; }

/// How far the distances of a block's codes may be from those of what the codes stand for, and for
/// inner products how far those of floats may be from what they are.
static double block_slack(const cordwood_flat *index, const cordwood_flat_search *search,
                          const cordwood_flat_bounds *block) {
    const cordwood_flat_slack *slack = &search->slack;
    const bool l2 = index->metric == CORDWOOD_L2;
    const double product = (double)search->codes.scale * slack->components * block->codes;
    const double magnitude = fabs(search->codes.base) + block->term + product;
    if (!(magnitude < FLT_MAX / 4)) {
        return INFINITY; // A float might have overflowed on the way.
    }
    // The terms are sums of sixteen lanes each.
    const double codes = (l2 ? 2 : 1) * slack->rounded * block->codes + slack->base +
                         roundings(index->dimensions / 16) * magnitude +
                         underflow(index->dimensions);
    const double floats =
        roundings(index->dimensions) * (slack->length * block->length + fabs(index->base)) +
        underflow(index->dimensions);
    return l2 ? codes : codes + floats;
}

/// A block's rows whose codes are farther than this says are farther than `distance`.
static cordwood_flat_probe probe(const cordwood_flat *index, const cordwood_flat_search *search,
                                 double unit, double slack, float distance) {
    double limit = slack, linear, square = 0;
    if (index->metric == CORDWOOD_L2) {
        const double least =
            (distance + underflow(index->dimensions)) / (1 - roundings(index->dimensions));
        limit += least;
        linear = 2 * sqrt(least) * unit;
        square = unit * unit;
    } else {
        limit += distance;
        linear = search->slack.length * unit;
    }
    // For the roundings of the limit itself.
    limit += 8 * 0x1p-24 * (fabs(limit) + 255 * (linear + 255 * square)) + underflow(1);
    return (cordwood_flat_probe){&search->codes, (float)limit, (float)linear, (float)square};
}

/// What no row is nearer than whose codes are as far as `distance` and whose error is `error`.
static float lower_bound(const cordwood_flat *index, const cordwood_flat_search *search,
                         double slack, float distance, double error) {
    double least = distance - slack;
    if (index->metric == CORDWOOD_L2) {
        least = sqrt(fmax(least, 0)) - error;
        least = least > 0 ? least * least * (1 - roundings(index->dimensions)) : 0;
        least -= underflow(index->dimensions);
    } else {
        least -= search->slack.length * error;
    }
    least -= fabs(least) * 0x1p-22 + underflow(1);
    return isnan(least) ? -INFINITY : (float)least;
}

// MARK: Queries

/// Makes the query's codes, and says what they have lost.
static void prepare(const cordwood_flat *index, cordwood_flat_search *search) {
    const cordwood_quantizer *quantizer = index->codes.quantizer;
    search->candidate_count = 0;
    search->room = 0;
    if (!quantizer) {
        return;
    }
    cordwood_code_query_prepare(quantizer, search->query, search->components, &search->codes);
    const bool l2 = index->metric == CORDWOOD_L2;
    const double unit = (double)search->codes.scale / (l2 ? 2 : 1);
    double rounded = 0, components = 0, base = 0, length = 0;
    for (size_t d = 0; d < quantizer->dimensions; d++) {
        const double value = search->query[d], center = quantizer->centers[d];
        const double part = (l2 ? value - center : value) * quantizer->steps[d];
        const double number = search->components[d];
        rounded += (part - unit * number) * (part - unit * number);
        components += number * number;
        base += l2 ? (value - center) * (value - center) : value * center;
        length += value * value;
    }
    base = l2 ? base : quantizer->base - base;
    search->slack = (cordwood_flat_slack){sqrt(length), sqrt(rounded), sqrt(components),
                                          fabs(search->codes.base - base)};
}

// MARK: Candidates

/// Lets the candidate at `at` sink to its place in a heap whose root is the nearest.
static void sink(cordwood_flat_candidate *heap, uint32_t count, uint32_t at) {
    const cordwood_flat_candidate moved = heap[at];
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= count) {
            break;
        }
        if (child + 1 < count && heap[child + 1].lower < heap[child].lower) {
            child++;
        }
        if (!(heap[child].lower < moved.lower)) {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moved;
}

/// Compares some rows. They are asked for all at once, since each lies where no one could have
/// foreseen.
static void compare(const cordwood_flat *index, cordwood_flat_search *search, const uint32_t *rows,
                    uint32_t count) {
    const void *addresses[COMPARED_AT_ONCE] = {NULL};
    float distances[COMPARED_AT_ONCE];
    for (uint32_t i = 0; i < count; i++) {
        addresses[i] = index->rows + rows[i] * index->stride;
        for (size_t byte = 0; byte < index->stride && byte < PREFETCHED_LINES * CACHE_LINE;
             byte += CACHE_LINE) {
            __builtin_prefetch((const uint8_t *)addresses[i] + byte);
        }
    }
    const cordwood_element_query query = {index->element, search->query, index->dimensions,
                                          index->metric, index->base};
    cordwood_element_distances(&query, addresses, count, distances);
    for (uint32_t i = 0; i < count; i++) {
        if (!(distances[i] > search->nearest->threshold)) {
            cordwood_topk_push(search->nearest, distances[i], index->ids[rows[i]]);
        }
    }
    search->compared += count;
}

/// Compares up to `most` of the candidates that may be among the nearest, the most promising first,
/// and drops those that are then known not to be.
static void settle(const cordwood_flat *index, cordwood_flat_search *search, uint32_t most) {
    cordwood_flat_candidate *heap = search->candidates;
    uint32_t left = search->candidate_count, taken = 0;
    for (uint32_t at = left / 2; at-- > 0;) {
        sink(heap, left, at);
    }
    while (taken < most && left > 0 && !(heap[0].lower > search->nearest->threshold)) {
        uint32_t rows[COMPARED_AT_ONCE], count = 0;
        while (left > 0 && count < COMPARED_AT_ONCE &&
               !(heap[0].lower > search->nearest->threshold)) {
            rows[count++] = heap[0].row;
            heap[0] = heap[--left];
            sink(heap, left, 0);
        }
        compare(index, search, rows, count);
        taken += count;
    }
    search->candidate_count = 0;
    for (uint32_t i = 0; i < left; i++) {
        if (!(heap[i].lower > search->nearest->threshold)) {
            heap[search->candidate_count++] = heap[i];
        }
    }
}

/// Makes room for a block's candidates, and compares as many of the most promising as make an end
/// of those that were met before better ones: the limit is then one of distances, and as tight as
/// codes are exact. Next time that is when twice as many are waiting, so that each is looked at a
/// few times in all.
static void sharpen(const cordwood_flat *index, cordwood_flat_search *search) {
    const uint32_t wanted = search->nearest->capacity;
    const uint32_t some = wanted > COMPARED_AT_ONCE ? wanted : (uint32_t)COMPARED_AT_ONCE;
    settle(index, search, some);
    if (search->candidate_count > search->capacity / 2) {
        settle(index, search, UINT32_MAX);
    }
    const uint64_t more = 2 * (uint64_t)search->candidate_count + 4 * (uint64_t)some;
    const uint32_t most = search->capacity - CORDWOOD_FLAT_BLOCK;
    search->room = more < most ? (uint32_t)more : most;
}

// MARK: Blocks

/// The rows of a block that are allowed.
typedef struct {
    uint32_t first;
    uint32_t count;
    const cordwood_flat_bounds *bounds;
    /// A bit for each row of the block, or null for all.
    const uint64_t *allowed;
} row_block;

/// Describes the block from row `first` on; returns whether it has a row that is allowed.
static bool describe(const cordwood_flat *index, const uint64_t *allowed, uint32_t first,
                     row_block *block) {
    const uint32_t left = index->count - first;
    block->first = first;
    block->count = left < CORDWOOD_FLAT_BLOCK ? left : CORDWOOD_FLAT_BLOCK;
    block->bounds =
        index->codes.quantizer ? &index->codes.bounds[first / CORDWOOD_FLAT_BLOCK] : NULL;
    block->allowed = allowed ? allowed + first / 64 : NULL;
    if (!allowed) {
        return true;
    }
    uint32_t count = 0;
    for (uint32_t word = 0; word < (block->count + 63) / 64; word++) {
        count += (uint32_t)__builtin_popcountll(block->allowed[word]);
    }
    if (count == block->count) {
        block->allowed = NULL;
    }
    return count > 0;
}

/// For up to CORDWOOD_FLAT_PROBES searches.
static void scan_codes(const cordwood_flat *index, const row_block *block,
                       cordwood_flat_search *searches, size_t count) {
    const double unit = block->bounds->unit;
    cordwood_flat_probe probes[CORDWOOD_FLAT_PROBES];
    double slacks[CORDWOOD_FLAT_PROBES];
    for (size_t i = 0; i < count; i++) {
        if (searches[i].candidate_count > searches[i].room) {
            sharpen(index, &searches[i]);
        }
        slacks[i] = block_slack(index, &searches[i], block->bounds);
        probes[i] = probe(index, &searches[i], unit, slacks[i], searches[i].nearest->threshold);
    }
    cordwood_flat_selection selections[CORDWOOD_FLAT_PROBES];
    cordwood_flat_select(&index->codes, block->first, block->count, block->allowed, probes, count,
                         selections);
    for (size_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < selections[i].count; k++) {
            const uint32_t row = block->first + selections[i].rows[k];
            const float lower =
                lower_bound(index, &searches[i], slacks[i], selections[i].distances[k],
                            unit * index->codes.errors[row]);
            searches[i].candidates[searches[i].candidate_count++] =
                (cordwood_flat_candidate){lower, row};
        }
    }
}

static void scan_rows(const cordwood_flat *index, const row_block *block,
                      cordwood_flat_search *search) {
    if (!block->allowed) {
        const cordwood_element_query query = {index->element, search->query, index->dimensions,
                                              index->metric, index->base};
        const cordwood_element_rows rows = {index->rows + block->first * index->stride,
                                            index->stride, block->count, index->ids + block->first};
        cordwood_element_scan(&query, &rows, search->nearest);
        search->compared += block->count;
        return;
    }
    uint32_t rows[COMPARED_AT_ONCE], count = 0;
    for (uint32_t place = 0; place < block->count; place++) {
        rows[count] = block->first + place;
        count += block->allowed[place / 64] >> place % 64 & 1;
        if (count == COMPARED_AT_ONCE) {
            compare(index, search, rows, count);
            count = 0;
        }
    }
    compare(index, search, rows, count);
}

void cordwood_flat_scan(const cordwood_flat *index, const uint64_t *allowed,
                        cordwood_flat_search *searches, size_t count) {
    const bool has_codes = index->codes.quantizer != NULL;
    for (size_t i = 0; i < count; i++) {
        prepare(index, &searches[i]);
    }
    row_block block;
    for (uint32_t first = 0; first < index->count; first += CORDWOOD_FLAT_BLOCK) {
        if (!describe(index, allowed, first, &block)) {
            continue;
        }
        for (size_t i = 0; i < count; i += CORDWOOD_FLAT_PROBES) {
            const size_t left = count - i;
            const size_t some = left < CORDWOOD_FLAT_PROBES ? left : (size_t)CORDWOOD_FLAT_PROBES;
            if (has_codes) {
                scan_codes(index, &block, &searches[i], some);
                continue;
            }
            for (size_t k = 0; k < some; k++) {
                scan_rows(index, &block, &searches[i + k]);
            }
        }
    }
    for (size_t i = 0; i < count && has_codes; i++) {
        settle(index, &searches[i], UINT32_MAX);
    }
}
