// The walk over a graph in blocks of a file. What waits for the disk is the caller's; each call
// here is what one block, or the choice of the next, takes.

#include "../graph/pool.h"
#include "../include/cordwood_disk.h"

#include <math.h>
#include <stdlib.h>

enum { ID_BYTES = 8, HEAD_BYTES = 16, RECORD_ALIGNMENT = 8, ROWS_AT_ONCE = 16 };

static size_t element_bytes(cordwood_disk_element element) {
    switch (element) {
    case CORDWOOD_DISK_F32:
        return 4;
    case CORDWOOD_DISK_F16:
        return 2;
    case CORDWOOD_DISK_U8:
        return 1;
    }
    return 4;
}

size_t cordwood_disk_node_bytes(const cordwood_disk *index) {
    size_t bytes = HEAD_BYTES + index->degree * sizeof(uint32_t) +
                   index->dimensions * element_bytes(index->element);
    return (bytes + RECORD_ALIGNMENT - 1) / RECORD_ALIGNMENT * RECORD_ALIGNMENT;
}

/// Half precision's exponent is 112 less; multiplying puts the small numbers right too.
static float float_of_half(uint16_t half) {
    union {
        uint32_t bits;
        float value;
    } magnitude = {(uint32_t)(half & 0x7fff) << 13}, signed_value;
    signed_value.value = magnitude.value * 0x1p112f;
    signed_value.bits |= (uint32_t)(half & 0x8000) << 16;
    return signed_value.value;
}

static void read_vector(const cordwood_disk *index, const uint8_t *elements, float *vector) {
    const size_t dimensions = index->dimensions;
    switch (index->element) {
    case CORDWOOD_DISK_F32:
        memcpy(vector, elements, dimensions * sizeof(float));
        break;
    case CORDWOOD_DISK_F16:
        for (size_t d = 0; d < dimensions; d++) {
            uint16_t half;
            memcpy(&half, elements + d * sizeof half, sizeof half);
            vector[d] = float_of_half(half);
        }
        break;
    case CORDWOOD_DISK_U8:
        for (size_t d = 0; d < dimensions; d++) {
            vector[d] = elements[d];
        }
        break;
    }
    if (index->normalizes) {
        cordwood_f32_normalize(vector, dimensions, vector);
    }
}

// MARK: Pool

static float worst_of(const cordwood_disk_walk *walk) {
    return walk->pool_count == walk->ef ? walk->scratch.pool[walk->pool_count - 1].distance
                                        : INFINITY;
}

static void insert(cordwood_disk_walk *walk, float distance, uint32_t node) {
    // What is not a number is nearer than nothing.
    if (!(distance < worst_of(walk))) {
        return;
    }
    uint32_t place =
        insert_candidate(walk->scratch.pool, &walk->pool_count, walk->ef, distance, node);
    if (!(node & FOLLOWED) && place < walk->cursor) {
        walk->cursor = place;
    }
}

static bool is_seen(const cordwood_disk_walk *walk, uint32_t node) {
    return walk->scratch.seen[node / 32] >> node % 32 & 1;
}

/// Inserts nodes that were marked as seen.
static void insert_all(cordwood_disk_walk *walk, uint32_t count) {
    const cordwood_disk *index = walk->index;
    cordwood_products_distances(&index->products, walk->table, index->codes, walk->scratch.nodes,
                                count, walk->scratch.distances);
    walk->scratch.distance_count += count;
    for (uint32_t i = 0; i < count; i++) {
        insert(walk, walk->scratch.distances[i], walk->scratch.nodes[i]);
    }
}

static void begin(cordwood_disk_walk *walk) {
    if (walk->excluded != CORDWOOD_NO_NODE) {
        mark_seen(&walk->scratch, walk->excluded);
    }
}

void cordwood_disk_begin(cordwood_disk_walk *walk, const uint32_t *nodes, uint32_t count) {
    begin(walk);
    const uint32_t room = walk->index->degree;
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!is_seen(walk, nodes[i])) {
            mark_seen(&walk->scratch, nodes[i]);
            walk->scratch.nodes[found++] = nodes[i];
        }
        if (found == room) {
            insert_all(walk, found);
            found = 0;
        }
    }
    insert_all(walk, found);
}

void cordwood_disk_end(cordwood_disk_walk *walk) {
    walk->pool_count = walk->cursor = walk->in_flight = 0;
    forget_seen(&walk->scratch, walk->index->node_count);
}

uint32_t cordwood_disk_next(cordwood_disk_walk *walk) {
    cordwood_candidate *pool = walk->scratch.pool;
    const uint32_t per_block = walk->index->nodes_per_block;
    for (; walk->cursor < walk->pool_count; walk->cursor++) {
        uint32_t node = pool[walk->cursor].node;
        if (node & FOLLOWED) {
            continue;
        }
        pool[walk->cursor].node |= FOLLOWED;
        const uint32_t block = node / per_block;
        bool is_coming = false;
        for (uint32_t i = 0; i < walk->in_flight; i++) {
            is_coming = is_coming || walk->blocks_in_flight[i] == block;
        }
        if (!is_coming) {
            walk->blocks_in_flight[walk->in_flight++] = block;
            return block;
        }
    }
    return CORDWOOD_DISK_NO_BLOCK;
}

// MARK: Blocks

static bool is_allowed(const uint64_t *allowed, uint64_t place) {
    return !allowed || (allowed[place / 64] >> place % 64 & 1);
}

/// A record's numbers.
typedef struct {
    uint64_t id;
    uint32_t place;
    uint32_t count;
    const uint8_t *edges;
    const uint8_t *elements;
} record;

/// The record at `bytes`, if it says what can be.
static bool read_record(const cordwood_disk *index, const uint8_t *bytes, record *read) {
    memcpy(&read->id, bytes, sizeof read->id);
    memcpy(&read->place, bytes + ID_BYTES, sizeof read->place);
    memcpy(&read->count, bytes + ID_BYTES + 4, sizeof read->count);
    read->edges = bytes + HEAD_BYTES;
    read->elements = read->edges + index->degree * sizeof(uint32_t);
    if (read->count == 0 || read->place + (uint64_t)read->count > index->vector_count ||
        (read->count > 1 && !index->ids)) {
        return false;
    }
    for (uint32_t i = 0; i < index->degree; i++) {
        uint32_t edge;
        memcpy(&edge, read->edges + i * sizeof edge, sizeof edge);
        if (edge >= index->node_count && edge != CORDWOOD_NO_NODE) {
            return false;
        }
    }
    return true;
}

static void offer(cordwood_disk_walk *walk, const record *read, float distance) {
    for (uint32_t i = 0; i < read->count; i++) {
        uint64_t place = read->place + (uint64_t)i;
        if (is_allowed(walk->allowed, place) && !(distance > walk->topk->threshold)) {
            cordwood_topk_push(walk->topk, distance, i == 0 ? read->id : walk->index->ids[place]);
        }
    }
}

/// Inserts the neighbours that were not seen of nodes that are near enough.
static void follow(cordwood_disk_walk *walk, const uint8_t *edges, uint32_t *found) {
    cordwood_graph_scratch *scratch = &walk->scratch;
    const uint32_t room = CORDWOOD_GRAPH_MAXIMUM_BEAM * walk->index->degree;
    if (*found + walk->index->degree > room) {
        insert_all(walk, *found);
        *found = 0;
    }
    scratch->hop_count++;
    for (uint32_t i = 0; i < walk->index->degree; i++) {
        uint32_t node;
        memcpy(&node, edges + i * sizeof node, sizeof node);
        if (node == CORDWOOD_NO_NODE) {
            break;
        }
        if (!is_seen(walk, node)) {
            mark_seen(scratch, node);
            scratch->nodes[(*found)++] = node;
        }
    }
}

/// Offers the vectors of the nodes from `first` up to `last`, of which there are at most
/// ROWS_AT_ONCE.
static bool offer_records(cordwood_disk_walk *walk, uint32_t first, uint32_t last,
                          const uint8_t *records) {
    const cordwood_disk *index = walk->index;
    const size_t stride = cordwood_disk_node_bytes(index);
    const float *rows[ROWS_AT_ONCE] = {0};
    float distances[ROWS_AT_ONCE];
    record read[ROWS_AT_ONCE];
    for (uint32_t node = first; node < last; node++) {
        const uint32_t i = node - first;
        if (!read_record(index, records + i * stride, &read[i])) {
            return false;
        }
        rows[i] = walk->rows + i * index->dimensions;
        read_vector(index, read[i].elements, walk->rows + i * index->dimensions);
    }
    cordwood_f32_distances(&walk->query, rows, last - first, distances);
    for (uint32_t node = first; node < last; node++) {
        if (node != walk->excluded) {
            offer(walk, &read[node - first], distances[node - first]);
        }
    }
    return true;
}

/// Inserts the neighbours of those nodes of a block that are as near as those in the pool: what the
/// others beside the one that the block was read for cost is computing, and each may save a read.
static void follow_block(cordwood_disk_walk *walk, uint32_t first, uint32_t count,
                         const uint8_t *records) {
    const cordwood_disk *index = walk->index;
    cordwood_graph_scratch *scratch = &walk->scratch;
    const size_t stride = cordwood_disk_node_bytes(index);
    uint32_t nodes[ROWS_AT_ONCE], found = 0;
    float distances[ROWS_AT_ONCE];
    for (uint32_t at = 0; at < count; at += ROWS_AT_ONCE) {
        uint32_t some = count - at < ROWS_AT_ONCE ? count - at : ROWS_AT_ONCE;
        for (uint32_t i = 0; i < some; i++) {
            nodes[i] = first + at + i;
        }
        cordwood_products_distances(&index->products, walk->table, index->codes, nodes, some,
                                    distances);
        for (uint32_t i = 0; i < some; i++) {
            if (nodes[i] == walk->excluded || !(distances[i] <= worst_of(walk))) {
                continue;
            }
            if (!is_seen(walk, nodes[i])) {
                mark_seen(scratch, nodes[i]);
                insert(walk, distances[i], nodes[i] | FOLLOWED);
            }
            follow(walk, records + (at + i) * stride + HEAD_BYTES, &found);
        }
        for (uint32_t i = 0; i < some; i++) {
            if (!is_seen(walk, nodes[i])) {
                mark_seen(scratch, nodes[i]);
            }
        }
    }
    insert_all(walk, found);
}

bool cordwood_disk_visit(cordwood_disk_walk *walk, uint32_t block, const uint8_t *records,
                         cordwood_disk_visit_kind kind) {
    const cordwood_disk *index = walk->index;
    const size_t stride = cordwood_disk_node_bytes(index);
    const uint32_t first = block * index->nodes_per_block;
    const uint32_t left = index->node_count - first;
    const uint32_t count = left < index->nodes_per_block ? left : index->nodes_per_block;
    for (uint32_t i = 0; i < walk->in_flight; i++) {
        if (walk->blocks_in_flight[i] == block) {
            walk->blocks_in_flight[i] = walk->blocks_in_flight[--walk->in_flight];
            break;
        }
    }
    for (uint32_t at = 0; at < count; at += ROWS_AT_ONCE) {
        uint32_t end = at + ROWS_AT_ONCE < count ? at + ROWS_AT_ONCE : count;
        if (!offer_records(walk, first + at, first + end, records + at * stride)) {
            return false;
        }
    }
    if (kind == CORDWOOD_DISK_FOLLOW) {
        follow_block(walk, first, count, records);
    }
    // Those of its nodes that are in the pool need not be asked for again.
    for (uint32_t i = walk->cursor; i < walk->pool_count; i++) {
        if ((walk->scratch.pool[i].node & NODE) - first < count) {
            walk->scratch.pool[i].node |= FOLLOWED;
        }
    }
    return true;
}

// MARK: Scanning codes

void cordwood_disk_scan(cordwood_disk_walk *walk, const uint32_t *starts) {
    begin(walk);
    const uint32_t room = walk->index->degree;
    uint32_t found = 0;
    for (uint32_t node = 0; node < walk->index->node_count; node++) {
        uint64_t place = starts ? starts[node] : node;
        const uint64_t end = starts ? starts[node + 1] : (uint64_t)node + 1;
        while (place < end && !is_allowed(walk->allowed, place)) {
            place++;
        }
        if (place < end && node != walk->excluded) {
            walk->scratch.nodes[found++] = node;
        }
        if (found == room) {
            insert_all(walk, found);
            found = 0;
        }
    }
    insert_all(walk, found);
}
