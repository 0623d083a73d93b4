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

static double code_slack(const cordwood_flat *index, const cordwood_flat_search *search,
                         const cordwood_flat_bounds *block) {
    const cordwood_flat_slack *slack = &search->slack;
    const double product = (double)search->codes.scale * slack->components * block->codes;
    const double magnitude = fabs(search->codes.base) + block->term + product;
    if (!(magnitude < FLT_MAX / 4)) {
        return INFINITY; // A float might have overflowed on the way.
    }
    const double off = (index->metric == CORDWOOD_L2 ? 2 : 1) * slack->rounded * block->codes;
    // The terms are sums of sixteen lanes each.
    return off + slack->base + roundings(index->dimensions / 16) * magnitude +
           underflow(index->dimensions);
}

/// What inner products of floats may be off by, beside what was lost of the row.
static double product_slack(const cordwood_flat *index, const cordwood_flat_search *search,
                            const cordwood_flat_bounds *block) {
    const double product = search->slack.length * block->length;
    return roundings(index->dimensions) * (product + fabs(index->base)) +
           underflow(index->dimensions);
}

/// A block's rows whose codes are farther than this says are farther than `distance`.
static cordwood_flat_probe probe(const cordwood_flat *index, const cordwood_flat_search *search,
                                 const cordwood_flat_bounds *block, float distance) {
    double limit = code_slack(index, search, block), linear, square = 0;
    if (index->metric == CORDWOOD_L2) {
        const double least =
            (distance + underflow(index->dimensions)) / (1 - roundings(index->dimensions));
        limit += least;
        linear = 2 * sqrt(least) * block->unit;
        square = (double)block->unit * block->unit;
    } else {
        limit += distance + product_slack(index, search, block);
        linear = search->slack.length * block->unit;
    }
    // For the roundings of the limit itself.
    limit += 8 * 0x1p-24 * (fabs(limit) + 255 * (linear + 255 * square)) + underflow(1);
    return (cordwood_flat_probe){&search->codes, (float)limit, (float)linear, (float)square};
}

/// No row of a block is nearer than `lower`, or farther than `upper`, if its codes are as far as
/// `distance` and its error is `error`.
static void row_bounds(const cordwood_flat *index, const cordwood_flat_search *search,
                       const cordwood_flat_bounds *block, float distance, double error,
                       float *lower, float *upper) {
    const double slack = code_slack(index, search, block);
    double least = distance - slack, most = distance + slack;
    if (index->metric == CORDWOOD_L2) {
        const double part = roundings(index->dimensions), lost = underflow(index->dimensions);
        least = sqrt(fmax(least, 0)) - error;
        least = least > 0 ? least * least * (1 - part) - lost : -lost;
        most = sqrt(most < 0 ? 0 : most) + error;
        most = most * most * (1 + part) + lost;
    } else {
        const double off = search->slack.length * error + product_slack(index, search, block);
        least -= off;
        most += off;
    }
    *lower = isnan(least) ? -INFINITY : nextafterf((float)least, -INFINITY);
    *upper = isnan(most) ? INFINITY : nextafterf((float)most, INFINITY);
}

// MARK: Queries

/// Makes the query's codes, and says what they have lost.
static void prepare(const cordwood_flat *index, cordwood_flat_search *search) {
    const cordwood_quantizer *quantizer = index->codes.quantizer;
    search->candidate_count = 0;
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

/// What is farther than this is not among the nearest.
static float threshold(const cordwood_flat_search *search) {
    return fminf(search->upper->threshold, search->nearest->threshold);
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

/// Compares all candidates that may be among the nearest, the most promising first, and leaves
/// none.
static void settle(const cordwood_flat *index, cordwood_flat_search *search) {
    cordwood_flat_candidate *heap = search->candidates;
    uint32_t left = search->candidate_count;
    for (uint32_t at = left / 2; at-- > 0;) {
        sink(heap, left, at);
    }
    while (left > 0 && !(heap[0].lower > threshold(search))) {
        uint32_t rows[COMPARED_AT_ONCE], count = 0;
        while (left > 0 && count < COMPARED_AT_ONCE && !(heap[0].lower > threshold(search))) {
            rows[count++] = heap[0].row;
            heap[0] = heap[--left];
            sink(heap, left, 0);
        }
        compare(index, search, rows, count);
    }
    search->candidate_count = 0;
}

/// Makes room for a block's candidates: those that were met before better ones go, and where that
/// is not enough, all are compared.
static void make_room(const cordwood_flat *index, cordwood_flat_search *search) {
    const float farthest = threshold(search);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < search->candidate_count; i++) {
        if (!(search->candidates[i].lower > farthest)) {
            search->candidates[kept++] = search->candidates[i];
        }
    }
    search->candidate_count = kept;
    // Half of the room, so that the next blocks do not look through all of it again.
    if (kept > search->capacity / 2) {
        settle(index, search);
    }
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

/// Keeps a row whose codes are near enough.
static void keep(const cordwood_flat *index, const row_block *block, uint32_t place, float distance,
                 cordwood_flat_search *search) {
    const uint32_t row = block->first + place;
    float lower, upper;
    row_bounds(index, search, block->bounds, distance,
               (double)block->bounds->unit * index->codes.errors[row], &lower, &upper);
    search->candidates[search->candidate_count++] = (cordwood_flat_candidate){lower, row};
    if (!(upper > search->upper->threshold)) {
        cordwood_topk_push(search->upper, upper, row);
    }
}

/// For up to CORDWOOD_FLAT_PROBES searches.
static void scan_codes(const cordwood_flat *index, const row_block *block,
                       cordwood_flat_search *searches, size_t count) {
    cordwood_flat_probe probes[CORDWOOD_FLAT_PROBES];
    for (size_t i = 0; i < count; i++) {
        cordwood_flat_search *search = &searches[i];
        if (search->capacity - search->candidate_count < CORDWOOD_FLAT_BLOCK) {
            make_room(index, search);
        }
        probes[i] = probe(index, search, block->bounds, threshold(search));
    }
    cordwood_flat_selection selections[CORDWOOD_FLAT_PROBES];
    cordwood_flat_select(&index->codes, block->first, block->count, block->allowed, probes, count,
                         selections);
    for (size_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < selections[i].count; k++) {
            keep(index, block, selections[i].rows[k], selections[i].distances[k], &searches[i]);
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
        settle(index, &searches[i]);
    }
}
