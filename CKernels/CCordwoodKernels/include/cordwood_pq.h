/// Product quantization (Jégou, Douze and Schmid, TPAMI 2011): rows whose groups of components are
/// each named by the nearest of a few centroids. With 16 centroids, rows are compared by table
/// look-ups in registers (André, Kermarrec and Le Scouarnec, VLDB 2015), 32 at a time.
#pragma once

#include "cordwood_shortlist.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    /// Rows of a block.
    CORDWOOD_PQ_BLOCK = 32,
    /// More groups could not be summed in 16 bits each.
    CORDWOOD_PQ_MAXIMUM_GROUPS = 8192,
};

// MARK: Quantizer

/// What the codes of an index mean.
typedef struct cordwood_pq {
    size_t groups;
    /// Components of a group. Rows have `groups * width` floats.
    size_t width;
    /// 4 or 8: there are 16 or 256 centroids to a group.
    uint32_t bits;
    /// Whether each row has a term, a float that is added to its distances.
    bool has_terms;
    /// Component t of centroid c of group g is at (g * width + t) * (number of centroids) + c, so
    /// that a register has the same component of several centroids.
    const float *centroids;
} cordwood_pq;

/// Bytes of a block of 32 rows. Of 4 bits, group after group, 16 bytes each, of which byte i has
/// the code of row i in its low half and that of row 16 + i in its high half; there are a multiple
/// of four groups, of which the last may be zeros. Of 8 bits, 32 bytes to each group. Behind the
/// codes the 32 terms, where there are any.
size_t cordwood_pq_block_bytes(const cordwood_pq *pq);

/// Writes the codes of `count` rows, of which there is one every `stride` floats, in whole blocks;
/// what is behind the last row is zeros. Row x is what a row differs by from the center c, and its
/// term is |x|² + 2 <c, what the codes stand for>: so the squared distance of c + x from q is about
///     |q - c|² + term - 2 <q, what the codes stand for>.
/// `center` may be null where there are no terms. The same bytes on every instruction set.
void cordwood_pq_encode(const cordwood_pq *pq, const float *rows, size_t stride, size_t count,
                        const float *center, uint8_t *blocks);

/// Writes what the codes of a row of a block stand for.
void cordwood_pq_decode(const cordwood_pq *pq, const uint8_t *block, size_t row, float *vector);

// MARK: Scanning

/// A vector made ready to be compared with codes. A row's distance is
///     base + term + offset + scale * (sum of its groups' table entries).
/// Entries of 4-bit codes are whole numbers of 8 bits whose sum fits in 16, the same on every
/// instruction set.
typedef struct cordwood_pq_query {
    const cordwood_pq *pq;
    /// 16 to each group, and zeros to each group of padding.
    const uint8_t *bytes;
    float scale;
    float offset;
    /// 256 to each group, of 8-bit codes.
    const float *floats;
} cordwood_pq_query;

/// Floats and bytes that a query's tables need.
size_t cordwood_pq_table_floats(const cordwood_pq *pq);
size_t cordwood_pq_table_bytes(const cordwood_pq *pq);

/// Fills tables with `factor` times the inner products of a vector's groups with their centroids.
/// O(groups * width * centroids).
void cordwood_pq_query_prepare(const cordwood_pq *pq, const float *vector, float factor,
                               float *floats, uint8_t *bytes, cordwood_pq_query *query);

/// Some rows one behind the other.
typedef struct cordwood_pq_rows {
    const uint8_t *blocks;
    uint32_t count;
    /// The place of the first.
    uint32_t first;
    float base;
    /// A bit for each place, or null where all are allowed.
    const uint64_t *allowed;
} cordwood_pq_rows;

/// Adds to the list the rows that are allowed and no farther than its threshold. Bound, of 4 bits,
/// by the shuffles: two for 32 look-ups in the widest registers there are.
void cordwood_pq_scan(const cordwood_pq_query *query, const cordwood_pq_rows *rows,
                      cordwood_shortlist *list);

// MARK: Training

/// One step of Lloyd's for a group: adds each row's components to the sums of the centroid that is
/// nearest, and counts it. `rows` has the group's first component of row i at `rows[i * stride]`;
/// sums are as centroids are. The same on every instruction set.
void cordwood_pq_train(const cordwood_pq *pq, size_t group, const float *rows, size_t stride,
                       size_t count, double *sums, uint32_t *counts);

/// For each of `rows` rows of products of a row with `columns` centroids: where one has
/// `terms[j] - 2 * product` less than `values[i]`, the least of them and its number, the smallest
/// such j, plus `first`. With half the centroid's squared norm twice, that is the nearest one.
void cordwood_nearest_columns(const float *products, size_t rows, size_t columns,
                              const float *terms, uint32_t first, float *values, uint32_t *numbers);

// MARK: For tests

/// One instruction set's loops.
typedef struct cordwood_pq_kernels {
    bool (*supported)(void);
    void (*encode)(const cordwood_pq *, const float *, size_t, size_t, const float *, uint8_t *);
    void (*prepare)(const cordwood_pq *, const float *, float, float *, uint8_t *,
                    cordwood_pq_query *);
    void (*scan)(const cordwood_pq_query *, const cordwood_pq_rows *, cordwood_shortlist *);
    void (*train)(const cordwood_pq *, size_t, const float *, size_t, size_t, double *, uint32_t *);
    void (*nearest)(const float *, size_t, size_t, const float *, uint32_t, float *, uint32_t *);
} cordwood_pq_kernels;

/// Every instruction set that was compiled in and has loops of its own here, in ascending order of
/// speed.
size_t cordwood_pq_variant_count(void);
const cordwood_pq_kernels *cordwood_pq_variant(size_t index);

#ifdef __cplusplus
}
#endif
