/// Graphs of near neighbours in levels (HNSW: Malkov and Yashunin, arXiv 1603.09320): walking and
/// building them.
#pragma once

#include "cordwood_codes.h"
#include "cordwood_elements.h"
#include "cordwood_flat.h"
#include "cordwood_shortlist.h"

#ifdef __cplusplus
extern "C" {
#endif

// MARK: Graph

enum {
    /// Ends a list of edges that is shorter than its room.
    CORDWOOD_NO_NODE = 0xffffffff,
    CORDWOOD_GRAPH_MAXIMUM_NODES = 0x7fffffff,
    CORDWOOD_GRAPH_MAXIMUM_DEGREE = 256,
    CORDWOOD_GRAPH_MAXIMUM_BEAM = 16,
};

/// The edges between the first `count` nodes: those of node i are the `degree` numbers from
/// `edges + i * degree` on, or fewer and then CORDWOOD_NO_NODE.
typedef struct cordwood_graph_level {
    uint32_t count;
    uint32_t degree;
    uint32_t *edges;
} cordwood_graph_level;

/// Nodes are numbered by falling level, so that each level is a graph over the first of them, and
/// node 0 is where every walk begins. `levels[0]` has all nodes.
typedef struct cordwood_graph {
    const cordwood_graph_level *levels;
    uint32_t level_count;
} cordwood_graph;

/// Whether no edge leads out of its level, no list has a number behind its end, and no degree or
/// count is beyond its cap. What holds this is safe to walk, whatever else it says. Reads all
/// edges.
bool cordwood_graph_is_sound(const cordwood_graph *graph);

// MARK: Rows

typedef enum cordwood_row_kind {
    /// `dimensions` floats.
    CORDWOOD_ROW_F32 = 0,
    /// Codes of the quantizer.
    CORDWOOD_ROW_CODES = 1,
} cordwood_row_kind;

/// What the nodes of a graph are compared by: row i belongs to node i.
typedef struct cordwood_graph_rows {
    cordwood_row_kind kind;
    const uint8_t *rows;
    /// Bytes from one row to the next.
    size_t stride;
    /// Of codes, and null for floats.
    const cordwood_quantizer *quantizer;
} cordwood_graph_rows;

/// What is looked for, as the rows need it: one of the two.
typedef struct cordwood_graph_query {
    const cordwood_f32_query *floats;
    const cordwood_code_query *codes;
} cordwood_graph_query;

// MARK: Walking

typedef struct cordwood_candidate {
    float distance;
    uint32_t node;
} cordwood_candidate;

/// The caller's memory of one walk at a time.
typedef struct cordwood_graph_scratch {
    /// Room for as many candidates as are asked for, and one more.
    cordwood_candidate *pool;
    /// A bit a node, in whole words of 32, all zeros before the first walk; each leaves them so.
    uint32_t *seen;
    /// Where the bits are that a walk has set, while there is room.
    uint32_t *touched;
    uint32_t touched_capacity;
    uint32_t touched_count;
    /// Room for the edges of a beam and of one detour: one more than CORDWOOD_GRAPH_MAXIMUM_BEAM
    /// times the largest degree, and 16.
    uint32_t *nodes;
    float *distances;
    /// Counts what walks did, from whatever they were before.
    uint64_t distance_count;
    uint64_t hop_count;
} cordwood_graph_scratch;

/// Finds near neighbours of a query: walks down the levels to a near node, and from there over
/// level `level` with a pool of the `ef` nearest nodes seen. Returns how many are in the pool,
/// nearest first, equals in the order in which they were met.
///
/// A step follows the edges of the `beam` nearest nodes that were not followed yet. A graph that is
/// larger than the caches is bound by the latency of memory: each step waits once for edges and
/// once for rows, however many nodes it follows, so a beam of four to eight halves the time for one
/// to five in a hundred more distances; the larger the pool, the fewer of a wider beam are in vain.
/// Where rows are a line or two, as much time goes into the pool and the nodes seen. Deterministic,
/// and equal on every instruction set for codes.
uint32_t cordwood_graph_search(const cordwood_graph *graph, const cordwood_graph_rows *rows,
                               const cordwood_graph_query *query, uint32_t level, uint32_t ef,
                               uint32_t beam, cordwood_graph_scratch *scratch);

/// Which nodes a walk may return.
typedef struct cordwood_graph_filter {
    /// A bit a node.
    const uint64_t *allowed;
    /// Of how many forbidden neighbours of each node the neighbours are looked at.
    uint32_t detours;
} cordwood_graph_filter;

/// As `cordwood_graph_search` on level 0 for the nodes that are allowed: the pool has no other,
/// save perhaps the node where the walk began. Where a neighbour is forbidden its own neighbours
/// take its place (ACORN: Patel et al., SIGMOD 2024, arXiv 2403.04871), so that no distance of a
/// forbidden node is computed, and the walk sees as many that are allowed as one without a filter.
/// Bound by the latency of memory as that is: a step waits for edges, for the edges of the detours,
/// and for rows.
uint32_t cordwood_graph_search_allowed(const cordwood_graph *graph, const cordwood_graph_rows *rows,
                                       const cordwood_graph_query *query, uint32_t ef,
                                       uint32_t beam, const cordwood_graph_filter *filter,
                                       cordwood_graph_scratch *scratch);

// MARK: Searching

/// An index over rows that do not change.
typedef struct cordwood_hnsw {
    cordwood_graph graph;
    /// What walks compare.
    cordwood_graph_rows rows;
    size_t dimensions;
    cordwood_metric metric;
    float base;
    /// Whether queries are brought to unit length.
    bool normalizes;
    /// What the nearest nodes are compared with again: node i's floats or halves are at `exact + i
    /// * exact_stride` bytes. Null where the rows are floats, or where the distances of codes are
    /// the result.
    const uint8_t *exact;
    size_t exact_stride;
    cordwood_element exact_element;
    /// Node i stands for the equal vectors from `starts[i]` up to `starts[i + 1]`; where `starts`
    /// is null, for vector i alone.
    const uint32_t *starts;
    const uint64_t *ids;
} cordwood_hnsw;

/// How much work a search is.
typedef struct cordwood_hnsw_effort {
    uint32_t ef;
    uint32_t beam;
    /// How many of the nodes found, the nearest by their codes, are compared again.
    uint32_t refined;
    /// Under a filter: how many forbidden neighbours of each node the walk goes around, keeping
    /// allowed nodes alone; or 0 to walk over all nodes and return those that are allowed.
    uint32_t detours;
} cordwood_hnsw_effort;

/// Memory of one search at a time, beside that of its walk.
typedef struct cordwood_hnsw_scratch {
    cordwood_graph_scratch walk;
    /// Room for a query.
    float *query;
    /// Room for `cordwood_code_query_bytes`.
    int8_t *components;
    /// Counts the rows that were compared exactly, from whatever it was before.
    uint64_t exact_count;
} cordwood_hnsw_scratch;

/// What a search may return.
typedef struct cordwood_hnsw_filter {
    /// A bit a vector.
    const uint64_t *vectors;
    /// A bit a node: whether any of its vectors has one. The same where each node is one vector.
    const uint64_t *nodes;
} cordwood_hnsw_filter;

/// Writes the bits of the nodes for those of the vectors. `shared` are the `count` nodes, in
/// ascending order, that stand for several vectors. Returns how many fewer bits are set then.
/// O(nodes / 64 + vectors of shared nodes).
uint32_t cordwood_hnsw_filter_nodes(const cordwood_hnsw *index, const uint64_t *vectors,
                                    const uint32_t *shared, uint32_t count, uint64_t *nodes);

/// Offers to the heap the vectors near to a query of finite floats: those of the nodes that a walk
/// finds, nearest first, until `refined` nodes were offered. With a filter only vectors that are
/// allowed; nodes without one do not count. Returns how many nodes are in the pool.
uint32_t cordwood_hnsw_search(const cordwood_hnsw *index, const float *query,
                              const cordwood_hnsw_effort *effort,
                              const cordwood_hnsw_filter *filter, cordwood_hnsw_scratch *scratch,
                              cordwood_topk *topk);

/// Offers every vector to the heap, or with a filter every vector that is allowed. With `refined` 0
/// by the exact rows where there are any, and else by the rows of walks, all of which are read.
/// With more, all are compared by the rows of walks, and the nearest so many nodes, for which the
/// pool has room, once more.
void cordwood_hnsw_scan(const cordwood_hnsw *index, const float *query,
                        const cordwood_hnsw_filter *filter, uint32_t refined,
                        cordwood_hnsw_scratch *scratch, cordwood_topk *topk);

/// One of several queries that share a scan, what is found for it, and the memory it needs.
typedef struct cordwood_hnsw_shared_query {
    /// Finite floats.
    const float *vector;
    /// Room for `cordwood_code_query_bytes`.
    int8_t *components;
    /// Room for CORDWOOD_HNSW_SHARED_KEYS.
    uint64_t *keys;
    cordwood_topk *topk;

    // What the scan itself keeps.
    cordwood_code_query codes;
    cordwood_shortlist nearest;
} cordwood_hnsw_shared_query;

/// Keys of a query of which so many nodes are compared again.
#define CORDWOOD_HNSW_SHARED_KEYS(refined) (2 * ((refined) + CORDWOOD_SHORTLIST_STEP))

/// Memory for the codes of the nodes that are compared with all queries before the next ones are
/// gathered.
typedef struct cordwood_hnsw_tiles {
    /// Room for `cordwood_flat_group_bytes` for each group of a block; on a multiple of 64.
    uint8_t *codes;
    float terms[CORDWOOD_FLAT_BLOCK];
    uint8_t errors[CORDWOOD_FLAT_BLOCK];
    uint32_t nodes[CORDWOOD_FLAT_BLOCK];
} cordwood_hnsw_tiles;

/// As `cordwood_hnsw_scan` by codes, with `refined` of at least 1, for several queries and an index
/// whose rows are codes: finds the same. The codes that are allowed are gathered a block at a time,
/// as exact indexes have them, and each block is compared with all queries while it is in the
/// caches: bound by multiply-adds, with VNNI 64 in an instruction.
void cordwood_hnsw_scan_shared(const cordwood_hnsw *index, const cordwood_hnsw_filter *filter,
                               cordwood_hnsw_shared_query *queries, size_t count, uint32_t refined,
                               cordwood_hnsw_tiles *tiles, cordwood_hnsw_scratch *scratch);

// MARK: Building

// A level is built in batches, each at most as large as what is there already (ParlayANN, arXiv
// 2305.04359): every node of a batch looks for its neighbours in the graph before the batch, and
// proposes itself to them; then every node that was proposed to takes what it wants. Both steps can
// be split among threads in any way: each node's result depends on the graph before the step alone,
// so the graph is the same, byte for byte, with any number of threads.

typedef struct cordwood_proposal {
    uint32_t source;
    float distance;
} cordwood_proposal;

typedef struct cordwood_graph_build {
    /// The levels above `level` are whole; of `level`, the nodes before `first`, and the lists of
    /// the others are empty.
    const cordwood_graph *graph;
    /// Codes.
    const cordwood_graph_rows *rows;
    uint32_t level;
    /// The batch is the nodes from `first`, at least 1, up to `last`.
    uint32_t first;
    uint32_t last;
    /// How many neighbours a new node chooses, at most the level's degree.
    uint32_t neighbors;
    uint32_t ef;
    uint32_t beam;
    /// What a new neighbour must be nearer by than to a neighbour chosen before it; 1 as HNSW has
    /// it.
    float alpha;
    /// Room for `neighbors` to each node of the batch, in the order of the batch. `targets` says to
    /// whom the source proposes itself.
    uint32_t *targets;
    cordwood_proposal *proposals;
    /// The proposals by target, as `cordwood_graph_group` leaves them: those to node t are
    /// `grouped[starts[t]]` up to `grouped[starts[t + 1]]`. Room for all, and for `first` + 1.
    cordwood_proposal *grouped;
    uint32_t *starts;
} cordwood_graph_build;

/// The memory of one thread that builds.
typedef struct cordwood_graph_build_scratch {
    cordwood_graph_scratch walk;
    /// Room for two queries more than the degree, each of `cordwood_code_query_bytes` rounded up to
    /// a multiple of 64.
    int8_t *components;
    cordwood_code_query *queries;
} cordwood_graph_build_scratch;

/// Chooses the neighbours of the batch's nodes from `first` up to `last` and writes their lists and
/// proposals.
void cordwood_graph_propose(const cordwood_graph_build *build, uint32_t first, uint32_t last,
                            cordwood_graph_build_scratch *scratch);

/// Groups the proposals of a whole batch by target.
void cordwood_graph_group(const cordwood_graph_build *build);

/// Lets the nodes from `first` up to `last`, all before the batch, take what was proposed to them.
void cordwood_graph_accept(const cordwood_graph_build *build, uint32_t first, uint32_t last,
                           cordwood_graph_build_scratch *scratch);

// MARK: Merging

enum {
    /// Graphs that each node is in.
    CORDWOOD_GRAPH_MERGED_LISTS = 2,
};

/// Graphs over parts of the same nodes, of which each is in two, that become one (DiskANN:
/// Subramanya et al., NeurIPS 2019): a node keeps the edges of both, or those that it would choose
/// among them where they are too many.
typedef struct cordwood_graph_merge {
    /// Codes of all nodes.
    const cordwood_graph_rows *rows;
    uint32_t node_count;
    /// The room of every list. That of the scratch's pool, bits aside, is for twice as many.
    uint32_t degree;
    /// As in `cordwood_graph_build`.
    float alpha;
    /// The node whose lists come first.
    uint32_t first;
    /// Two for each node; what they say is looked at.
    const uint32_t *lists;
    /// One for each node, nearest first.
    uint32_t *merged;
} cordwood_graph_merge;

/// Writes the lists of the nodes from `merge->first + first` up to `merge->first + last`. False
/// where an edge leads to none of the nodes. Each node's result depends on its own lists alone.
/// Bound by the latency of memory: the rows of two lists to a node.
bool cordwood_graph_merge_lists(const cordwood_graph_merge *merge, uint32_t first, uint32_t last,
                                cordwood_graph_build_scratch *scratch);

// MARK: For tests

/// One instruction set's loops over codes and graphs.
typedef struct cordwood_graph_kernels {
    bool (*supported)(void);
    void (*prepare)(const cordwood_quantizer *, const float *, int8_t *, cordwood_code_query *);
    void (*distances)(const cordwood_quantizer *, const cordwood_code_query *,
                      const uint8_t *const *, size_t, float *);
    uint32_t (*search)(const cordwood_graph *, const cordwood_graph_rows *,
                       const cordwood_graph_query *, uint32_t, uint32_t, uint32_t,
                       cordwood_graph_scratch *);
    uint32_t (*search_allowed)(const cordwood_graph *, const cordwood_graph_rows *,
                               const cordwood_graph_query *, uint32_t, uint32_t,
                               const cordwood_graph_filter *, cordwood_graph_scratch *);
    void (*propose)(const cordwood_graph_build *, uint32_t, uint32_t,
                    cordwood_graph_build_scratch *);
    void (*accept)(const cordwood_graph_build *, uint32_t, uint32_t,
                   cordwood_graph_build_scratch *);
    bool (*merge)(const cordwood_graph_merge *, uint32_t, uint32_t, cordwood_graph_build_scratch *);
} cordwood_graph_kernels;

/// Every instruction set that was compiled in, in ascending order of speed; those of codes and
/// graphs may not be supported where those of floats are.
size_t cordwood_graph_variant_count(void);
const cordwood_graph_kernels *cordwood_graph_variant(size_t index);

#ifdef __cplusplus
}
#endif
