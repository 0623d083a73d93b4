/// Rows whose components are of other types than 32-bit floats: halves, bytes and bits, and their
/// distances.
#pragma once

#include "cordwood_kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

// MARK: Elements

/// What the components of a row are, and what a query for such rows is made of.
typedef enum cordwood_element {
    /// 32-bit floats, as the query.
    CORDWOOD_F32 = 0,
    /// 16-bit floats of IEEE 754 (11 bits of precision, up to 65,504); the query is 32-bit floats.
    CORDWOOD_F16 = 1,
    /// The upper halves of 32-bit floats (8 bits of precision); the query is 32-bit floats.
    CORDWOOD_BF16 = 2,
    /// Whole numbers from -128 to 127, as the query.
    CORDWOOD_I8 = 3,
    /// Whole numbers from 0 to 255, as the query.
    CORDWOOD_U8 = 4,
    /// Bits in words of 64, as the query; those behind the last are zeros.
    CORDWOOD_BITS = 5,
} cordwood_element;

/// Whole numbers of up to so many dimensions have exact sums, which fit in 32 bits.
enum { CORDWOOD_ELEMENT_MAXIMUM_DIMENSIONS = 65536 };

/// Bytes of a row's components: whole words of bits.
size_t cordwood_element_row_bytes(cordwood_element element, size_t dimensions);

// MARK: Distances

/// One query and what its distances mean. Pointers need no alignment.
///
/// The squared Euclidean distance of bits is how many differ (Hamming); their inner product is how
/// many both have. Sums over bytes and bits are exact, and then rounded to a float once: the same
/// on every instruction set.
typedef struct cordwood_element_query {
    cordwood_element element;
    const void *query;
    size_t dimensions;
    cordwood_metric metric;
    float base;
} cordwood_element_query;

/// Some rows: row i is at `rows + i * stride` bytes, and has the id `ids[i]`.
typedef struct cordwood_element_rows {
    const void *rows;
    size_t stride;
    size_t count;
    const uint64_t *ids;
} cordwood_element_rows;

/// Writes the distance of each of `count` rows, given by their addresses. Asks for rows a few ahead
/// of those it computes, since they may lie anywhere.
void cordwood_element_distances(const cordwood_element_query *query, const void *const *rows,
                                size_t count, float *distances);

/// Offers every row to the heap. Bound by memory bandwidth. A distance is bit for bit that of
/// `cordwood_element_distances`, on one instruction set.
void cordwood_element_scan(const cordwood_element_query *query, const cordwood_element_rows *rows,
                           cordwood_topk *topk);

// MARK: Conversion

/// Writes floats as halves, each the nearest, to even if there are two: the same on every
/// instruction set. Returns whether the halves are the vector within 2^-10 of its length. They are
/// not where a component is beyond 65,504, and where a vector is so short that halves run out of
/// digits.
bool cordwood_f16_encode(const float *vector, size_t count, uint16_t *halves);

/// As `cordwood_f16_encode`, within 2^-7 of the vector's length. Not so where a component rounds to
/// infinity.
bool cordwood_bf16_encode(const float *vector, size_t count, uint16_t *halves);

/// Writes what halves stand for.
void cordwood_f16_decode(const uint16_t *halves, size_t count, float *vector);
void cordwood_bf16_decode(const uint16_t *halves, size_t count, float *vector);

// MARK: For tests

/// One instruction set's loops over every element but 32-bit floats.
typedef struct cordwood_element_kernels {
    bool (*supported)(void);
    void (*distances)(const cordwood_element_query *, const void *const *, size_t, float *);
    void (*scan)(const cordwood_element_query *, const cordwood_element_rows *, cordwood_topk *);
} cordwood_element_kernels;

/// Every instruction set that was compiled in and has loops of its own here, in ascending order of
/// speed; those of elements may not be supported where those of floats are.
size_t cordwood_element_variant_count(void);
const cordwood_element_kernels *cordwood_element_variant(size_t index);

#ifdef __cplusplus
}
#endif
