/// RaBitQ: a vector by the signs, or a few bits, of its components after a random rotation, with an
/// unbiased estimate of distances and a bound on its error (Gao and Long, SIGMOD 2024, arXiv
/// 2405.12497; several bits: Gao et al., arXiv 2409.09913). Nothing is trained.
#pragma once

#include "cordwood_kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

// MARK: Random rotation

enum { CORDWOOD_ROTATION_ROUNDS = 4, CORDWOOD_ROTATION_MULTIPLE = 64 };

/// A rotation after which the components of any vector look like those of a random direction:
/// CORDWOOD_ROTATION_ROUNDS times, signs are changed at random and Hadamard's transform is taken
/// over the largest power of two of components that there is, at the front and at the end in turn;
/// where that is not all of them, the halves are then mixed, too. It only adds, subtracts and
/// multiplies in a fixed order, so that the result has the same bits on every instruction set,
/// which a product with a matrix would not.
typedef struct cordwood_rotation {
    size_t dimensions;
    /// What is taken from every vector first, or null for nothing.
    const float *origin;
    /// CORDWOOD_ROTATION_ROUNDS times `cordwood_rotation_dimensions` numbers.
    const float *factors;
} cordwood_rotation;

/// How many components a rotated vector has: the next multiple of 64. Norms and inner products stay
/// what they were.
size_t cordwood_rotation_dimensions(size_t dimensions);

/// Writes the factors that belong to a seed.
void cordwood_rotation_make(uint64_t seed, size_t dimensions, float *factors);

/// Writes the rotation of a vector's difference from the origin. O(dimensions * log(dimensions)).
void cordwood_rotate(const cordwood_rotation *rotation, const float *vector, float *rotated);

// MARK: Codes

enum { CORDWOOD_RABITQ_BLOCK = 32, CORDWOOD_RABITQ_MAXIMUM_BITS = 8 };

/// What codes are relative to is a center, the same for all rows of a list. With r a row's
/// difference from it after the rotation, each component has a whole number c of `bits` bits, and
/// the row's direction is about that of y = c - (2^bits - 1) / 2. For any q,
///
///     |r|^2 / <y, r> * <y, q>
///
/// is an estimate of <r, q> without bias, and off by more than
///
///     epsilon * |r| * |q| * sqrt((1 - cos^2) / (cos^2 * (dimensions - 1)))
///
/// with cos that of the angle between y and r, about as seldom as a normal variable is by more than
/// epsilon deviations.
typedef struct cordwood_rabitq {
    /// Of rotated vectors: a multiple of 64.
    size_t dimensions;
    /// 1 to 8.
    uint32_t bits;
    /// As in `cordwood_f32_query`.
    cordwood_metric metric;
    float base;
    /// How many deviations the bounds are wide.
    float epsilon;
} cordwood_rabitq;

/// Bytes of the blocks of `count` rows, CORDWOOD_RABITQ_BLOCK rows to each. A block has three
/// floats of each row, kind by kind (its term in the distance, the scale and the error of its
/// signs), and then its signs: byte i of row j is at 32 * i + j, and bit k of it is that of
/// component k * dimensions / 8 + i.
size_t cordwood_rabitq_block_bytes(const cordwood_rabitq *quantizer, size_t count);

/// Bytes of a row beside the blocks: none with 1 bit, and else the scale and the error with all
/// bits, and the bits below the first. These are in fields of 4, then 2, then 1 bit, the highest
/// first, as many as `bits` - 1 is made of; field k of byte i of n has component k * n + i.
size_t cordwood_rabitq_row_bytes(const cordwood_rabitq *quantizer);

/// Writes the codes of `count` rotated rows, one behind the other, which become their differences
/// from the rotated center. The first is row `position` of the list; what is behind the last row of
/// the last block is for the caller to fill with zeros. O(count * dimensions). The same bytes on
/// every instruction set.
void cordwood_rabitq_encode(const cordwood_rabitq *quantizer, const float *center, float *rows,
                            size_t position, size_t count, uint8_t *blocks, uint8_t *extra);

/// Whether every factor of a list's codes is finite. What holds this is safe to scan, whatever else
/// it says.
bool cordwood_rabitq_is_sound(const cordwood_rabitq *quantizer, const uint8_t *blocks,
                              const uint8_t *extra, size_t count);

// MARK: Searching

/// A query made ready for the codes of one list.
typedef struct cordwood_rabitq_query {
    /// For each four components what each of the sixteen patterns of signs adds, in 7 bits.
    const uint8_t *tables;
    /// The components in 14 bits: 128 * high + low.
    const int8_t *high;
    const int8_t *low;
    /// Room for one row's signs.
    uint8_t *signs;
    /// The query's own term, and a little less: sums of floats are rounded.
    float base;
    float base_bound;
    /// By signs: the product is scale * sum + shift, or for the bound + shift_bound.
    float scale;
    float shift;
    float shift_bound;
    /// What a row's error is to be multiplied by.
    float error;
    /// By all bits: the product is unit * (2 * sum - sum_shift).
    float unit;
    int64_t sum_shift;
    float full_error;
    /// Counts how many rows were compared by all bits and exactly, from whatever they were before.
    uint64_t refined_count;
    uint64_t exact_count;
} cordwood_rabitq_query;

/// Bytes of room that a query needs, best on a multiple of 64.
size_t cordwood_rabitq_query_bytes(const cordwood_rabitq *quantizer);

/// Makes a rotated vector ready for rows relative to a rotated center. O(dimensions). The counts
/// stay as they are.
void cordwood_rabitq_prepare(const cordwood_rabitq *quantizer, const float *center,
                             const float *rotated, uint8_t *room, cordwood_rabitq_query *query);

/// The rows of one list.
typedef struct cordwood_rabitq_list {
    size_t count;
    const uint8_t *blocks;
    /// Not read with 1 bit.
    const uint8_t *extra;
    const uint64_t *ids;
    /// The bit of row 0 in a filter.
    size_t first_place;
    /// Row i's floats, not rotated, are at `exact + i * exact_stride`. Null where the estimates are
    /// the result.
    const float *exact;
    size_t exact_stride;
} cordwood_rabitq_list;

/// An estimate of a distance, and what the distance is not less than, as far as epsilon promises.
typedef struct cordwood_rabitq_estimate {
    float distance;
    float bound;
} cordwood_rabitq_estimate;

/// Writes what `bits` bits, 1 or all, of each row's codes say of its distance.
void cordwood_rabitq_estimates(const cordwood_rabitq *quantizer, const cordwood_rabitq_list *list,
                               const cordwood_rabitq_query *query, uint32_t bits,
                               cordwood_rabitq_estimate *estimates);

/// Offers to the heap the rows of a list, or with `allowed` those whose bit is set.
///
/// All are compared by their signs; those whose bound is not beyond the heap's threshold by all
/// bits; and those of whom that still holds, where there are exact rows, by these, with `floats`
/// for the query: in all, the work stops as soon as the bounds say so. Deterministic; estimates
/// have the same bits on every instruction set.
void cordwood_rabitq_scan(const cordwood_rabitq *quantizer, const cordwood_rabitq_list *list,
                          cordwood_rabitq_query *query, const cordwood_f32_query *floats,
                          const uint64_t *allowed, cordwood_topk *topk);

// MARK: For tests

/// One instruction set's loops.
typedef struct cordwood_rabitq_kernels {
    bool (*supported)(void);
    void (*rotate)(const cordwood_rotation *, const float *, float *);
    void (*encode)(const cordwood_rabitq *, const float *, float *, size_t, size_t, uint8_t *,
                   uint8_t *);
    void (*prepare)(const cordwood_rabitq *, const float *, const float *, uint8_t *,
                    cordwood_rabitq_query *);
    void (*estimates)(const cordwood_rabitq *, const cordwood_rabitq_list *,
                      const cordwood_rabitq_query *, uint32_t, cordwood_rabitq_estimate *);
    void (*scan)(const cordwood_rabitq *, const cordwood_rabitq_list *, cordwood_rabitq_query *,
                 const cordwood_f32_query *, const uint64_t *, cordwood_topk *);
} cordwood_rabitq_kernels;

/// Every instruction set that was compiled in and has loops of its own here, in ascending order of
/// speed.
size_t cordwood_rabitq_variant_count(void);
const cordwood_rabitq_kernels *cordwood_rabitq_variant(size_t index);

#ifdef __cplusplus
}
#endif
