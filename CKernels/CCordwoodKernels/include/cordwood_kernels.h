/// The loops of vector search. Plain C; every call is safe from any thread that owns what it
/// passes, keeps nothing, and allocates nothing.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// MARK: Instruction sets

/// The instruction set in use, chosen once: "scalar", "avx2", "avx512", "neon" or
/// "neon-dotprod". It is the best that the processor has, or what the environment's CORDWOOD_ISA
/// names.
const char *cordwood_isa(void);

typedef enum cordwood_isa_status {
    /// CORDWOOD_ISA is not set, or is obeyed.
    CORDWOOD_ISA_OK = 0,
    /// CORDWOOD_ISA is none of scalar, avx2, avx512, neon and neon-dotprod; the best is in use
    /// instead.
    CORDWOOD_ISA_UNKNOWN = 1,
    /// CORDWOOD_ISA names what this processor lacks; the best is in use instead.
    CORDWOOD_ISA_UNSUPPORTED = 2,
} cordwood_isa_status;

cordwood_isa_status cordwood_isa_get_status(void);

// MARK: The best so far

typedef struct cordwood_neighbor {
    float distance;
    uint64_t id;
} cordwood_neighbor;

/// The `capacity` smallest neighbours seen, by distance and then by id. A binary heap over the
/// caller's memory whose root is the worst that is kept.
typedef struct cordwood_topk {
    cordwood_neighbor *heap;
    uint32_t capacity;
    uint32_t count;
    /// What is farther than this cannot enter: infinity until the heap is full.
    float threshold;
} cordwood_topk;

/// An empty heap over room for `capacity` (at least one) neighbours.
void cordwood_topk_init(cordwood_topk *topk, cordwood_neighbor *room, uint32_t capacity);

/// Offers one neighbour. A distance that is not a number counts as infinite. O(log capacity).
void cordwood_topk_push(cordwood_topk *topk, float distance, uint64_t id);

/// Sorts the heap's memory by distance and then by id, nearest first. It is no heap any more:
/// read it, then initialise it before it is used again. O(count log count).
void cordwood_topk_sort(cordwood_topk *topk);

// MARK: Distances of 32-bit floats

typedef enum cordwood_metric {
    /// The squared Euclidean distance.
    CORDWOOD_L2 = 0,
    /// `base` minus the inner product: 0 for the inner product, 1 for the cosine of unit rows.
    CORDWOOD_IP = 1,
} cordwood_metric;

/// One query and what its distances mean. Pointers need no alignment, but 64-byte alignment and
/// `dimensions` that are a multiple of 16 (zeros in both query and rows change no distance) make
/// the loops free of split loads and of tails.
typedef struct cordwood_f32_query {
    const float *query;
    size_t dimensions;
    cordwood_metric metric;
    float base;
} cordwood_f32_query;

/// Some rows: row i is the `dimensions` floats at `rows + i * stride`, and has the id `ids[i]`.
typedef struct cordwood_f32_rows {
    const float *rows;
    size_t stride;
    size_t count;
    const uint64_t *ids;
} cordwood_f32_rows;

/// Writes the distance of each of `count` rows, given by their addresses.
void cordwood_f32_distances(const cordwood_f32_query *query, const float *const *rows, size_t count,
                            float *distances);

/// Offers every row to the heap. A distance is bit for bit that of `cordwood_f32_distances` and of
/// `cordwood_f32_tile`, on one instruction set.
void cordwood_f32_scan(const cordwood_f32_query *query, const cordwood_f32_rows *rows,
                       cordwood_topk *topk);

/// Many queries against many rows whose inner products are known approximately, as a matrix
/// product leaves them.
typedef struct cordwood_f32_tile_input {
    /// Query i is the `dimensions` floats at `queries + i * query_stride`.
    const float *queries;
    size_t query_stride;
    size_t query_count;
    size_t dimensions;
    cordwood_metric metric;
    float base;
    cordwood_f32_rows rows;
    /// The product of query i and row j is at `products[i * product_stride + j]`.
    const float *products;
    size_t product_stride;
    /// With these, no row j is nearer to query i than
    ///     query_terms[i] + row_terms[j] + factor * product(i, j),
    /// whatever rounding did to the products. `row_terms` may be null, for zeros.
    const float *query_terms;
    const float *row_terms;
    float factor;
} cordwood_f32_tile_input;

/// Offers to `topks[i]` every row that may enter it, at its exact distance from query i: rows whose
/// bound is beyond the threshold are passed over, sixteen in one comparison.
void cordwood_f32_tile(const cordwood_f32_tile_input *input, cordwood_topk *topks);

/// How many floats of scratch `cordwood_f32_batch` needs for vectors of so many dimensions, or 0
/// where the instruction set in use, or the dimensions, have no such function: the caller then
/// multiplies matrices by other means and calls `cordwood_f32_tile`.
size_t cordwood_f32_batch_scratch(size_t dimensions);

/// As `cordwood_f32_tile`, but computes the products too: `products` is not read. All rows may be
/// passed at once. `scratch` is best aligned to 64 bytes.
void cordwood_f32_batch(const cordwood_f32_tile_input *input, float *scratch, cordwood_topk *topks);

// MARK: Single vectors

/// The index of the first component that is infinite or not a number, or `count`.
size_t cordwood_f32_first_not_finite(const float *vector, size_t count);

/// The sum of the squares, in double precision, where no vector of finite floats overflows.
double cordwood_f32_squared_norm(const float *vector, size_t count);

/// Writes the vector at unit length; a vector of zeros stays zeros. May work in place.
void cordwood_f32_normalize(const float *vector, size_t count, float *unit);

// MARK: For tests

/// One instruction set's functions.
typedef struct cordwood_f32_kernels {
    const char *isa;
    bool (*supported)(void);
    void (*distances)(const cordwood_f32_query *, const float *const *, size_t, float *);
    void (*scan)(const cordwood_f32_query *, const cordwood_f32_rows *, cordwood_topk *);
    void (*tile)(const cordwood_f32_tile_input *, cordwood_topk *);
    /// Null where there is none.
    void (*batch)(const cordwood_f32_tile_input *, float *, cordwood_topk *);
    size_t (*batch_scratch)(size_t);
} cordwood_f32_kernels;

/// Every instruction set that was compiled in, in ascending order of speed.
size_t cordwood_f32_variant_count(void);
const cordwood_f32_kernels *cordwood_f32_variant(size_t index);

#ifdef __cplusplus
}
#endif
