/// Graphs whose nodes lie in pages of a file (DiskANN: Subramanya et al., NeurIPS 2019), and the
/// product codes by which they are walked in memory (Jégou, Douze and Schmid, TPAMI 2011).
#pragma once

#include "cordwood_graph.h"

#ifdef __cplusplus
extern "C" {
#endif

// MARK: Product codes

enum { CORDWOOD_PRODUCT_CENTROIDS = 256 };

/// What the codes of one index mean. Codes are compared by the numbers of their nodes, each by
/// itself, and take as many bytes as there are parts, of which the widths differ by one at most.
/// Part p of `parts`, at most as many as there are dimensions, is the components from p *
/// dimensions / parts up to the next part's first; byte p of a code is the number of its centroid.
typedef struct cordwood_products {
    size_t dimensions;
    size_t parts;
    /// As in `cordwood_f32_query`.
    cordwood_metric metric;
    float base;
    /// `dimensions` rows of CORDWOOD_PRODUCT_CENTROIDS floats: what each component is in each
    /// centroid.
    const float *centroids;
} cordwood_products;

/// Floats of scratch that training needs for so many rows.
size_t cordwood_products_train_scratch(size_t count);

/// Finds the centroids of one part among `count` rows, one every `stride` floats: Lloyd's k-means
/// from evenly spaced rows on; a centroid that has no row takes the one that is farthest from its
/// own. Writes only that part's rows of `centroids`. O(iterations * count * part * 256). The same
/// bits on every instruction set.
void cordwood_products_train(const cordwood_products *products, size_t part, const float *rows,
                             size_t stride, size_t count, size_t iterations, float *scratch,
                             float *centroids);

/// Writes `count` codes of `parts` bytes: code i is that of the row of floats `order[i]`.
void cordwood_products_encode(const cordwood_products *products, const float *rows, size_t stride,
                              const uint32_t *order, size_t count, uint8_t *codes);

/// Writes the query's distance to every centroid of every part: `parts` times
/// CORDWOOD_PRODUCT_CENTROIDS floats. A distance to a code is the base and a sum of one from each
/// part.
void cordwood_products_table(const cordwood_products *products, const float *query, float *table);

/// Writes the distances of the codes of `count` nodes. Bound by two loads to a byte of a code, most
/// from the table, which is larger than the first cache from 48 parts on; codes are asked for
/// ahead.
void cordwood_products_distances(const cordwood_products *products, const float *table,
                                 const uint8_t *codes, const uint32_t *nodes, size_t count,
                                 float *distances);

// MARK: Nodes in blocks

typedef enum cordwood_disk_element {
    CORDWOOD_DISK_F32 = 0,
    CORDWOOD_DISK_F16 = 1,
    CORDWOOD_DISK_U8 = 2,
} cordwood_disk_element;

/// The graph. Node i is in block i / nodes_per_block, as a record of: the id of its first vector (8
/// bytes), its first vector's place (4), how many equal vectors it has (4), `degree` edges (4
/// each), ended by CORDWOOD_NO_NODE, and the vector's components; filled up to a multiple of 8.
typedef struct cordwood_disk {
    cordwood_products products;
    /// Node after node.
    const uint8_t *codes;
    uint32_t node_count;
    uint32_t degree;
    uint32_t nodes_per_block;
    cordwood_disk_element element;
    size_t dimensions;
    /// Whether vectors are brought to unit length when they are read.
    bool normalizes;
    uint64_t vector_count;
    /// The ids of all vectors by their places, for those that share a node.
    const uint64_t *ids;
} cordwood_disk;

/// Bytes of a node's record.
size_t cordwood_disk_node_bytes(const cordwood_disk *index);

enum {
    /// Blocks that a walk has in flight at most.
    CORDWOOD_DISK_MAXIMUM_BEAM = 32,
    CORDWOOD_DISK_NO_BLOCK = 0xffffffff,
};

/// One search.
typedef struct cordwood_disk_walk {
    const cordwood_disk *index;
    /// At unit length where vectors are brought to it.
    cordwood_f32_query query;
    /// The query's, of `cordwood_products_table`.
    const float *table;
    /// A bit for each vector by its place, or null for all.
    const uint64_t *allowed;
    cordwood_topk *topk;
    /// A node that is treated as if it were not there, or CORDWOOD_NO_NODE.
    uint32_t excluded;
    uint32_t ef;
    /// As for a graph in memory, of `ef`.
    cordwood_graph_scratch scratch;
    /// Room for the floats of the vectors of a block.
    float *rows;
    /// What follows is the walk's own, zeros before the first and between walks.
    uint32_t pool_count;
    uint32_t cursor;
    uint32_t blocks_in_flight[CORDWOOD_DISK_MAXIMUM_BEAM];
    uint32_t in_flight;
} cordwood_disk_walk;

/// Begins a walk from some nodes, each below the node count.
void cordwood_disk_begin(cordwood_disk_walk *walk, const uint32_t *nodes, uint32_t count);

/// Puts the nearest `ef` nodes that have an allowed vector into the pool of a walk that has begun,
/// by their codes. `starts[i]` is the place of node i's first vector; null where each has one.
void cordwood_disk_scan(cordwood_disk_walk *walk, const uint32_t *starts);

/// The block of the nearest node that was not asked for yet, which is in flight then; or
/// CORDWOOD_DISK_NO_BLOCK. At most CORDWOOD_DISK_MAXIMUM_BEAM may be in flight.
uint32_t cordwood_disk_next(cordwood_disk_walk *walk);

typedef enum cordwood_disk_visit_kind {
    /// Offer the vectors, and follow the edges of those nodes that are near enough for the pool.
    CORDWOOD_DISK_FOLLOW,
    /// Offer the vectors.
    CORDWOOD_DISK_COMPARE,
} cordwood_disk_visit_kind;

/// Takes in a block that was read: offers its vectors at their exact distances to the heap. False,
/// and nothing more of it is used, when it says what cannot be.
bool cordwood_disk_visit(cordwood_disk_walk *walk, uint32_t block, const uint8_t *records,
                         cordwood_disk_visit_kind kind);

/// Ends a walk, in which blocks may still be in flight: its memory is as before the first.
void cordwood_disk_end(cordwood_disk_walk *walk);

#ifdef __cplusplus
}
#endif
