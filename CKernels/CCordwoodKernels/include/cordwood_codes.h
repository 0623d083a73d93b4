/// Scalar quantization: rows whose components are whole numbers of 8 or 4 bits, and their
/// distances.
#pragma once

#include "cordwood_kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

// MARK: Quantizer

/// What the codes of one index mean. The code c of component d, of `bits` bits, stands for
/// `centers[d] + steps[d] * (c - half)` with half = 2 to the power of (bits - 1).
typedef struct cordwood_quantizer {
    size_t dimensions;
    /// 8 or 4.
    uint32_t bits;
    /// As in `cordwood_f32_query`.
    cordwood_metric metric;
    float base;
    const float *centers;
    /// Above zero.
    const float *steps;
} cordwood_quantizer;

/// Bytes of a row's components: a multiple of 16, padded with half, which stands for no difference.
/// Of 4-bit codes, byte i has component i in its low half and component `code bytes` + i in its
/// high half.
size_t cordwood_code_bytes(const cordwood_quantizer *quantizer);

/// Bytes from one row to the next: the components, and for L2 a float behind them, the squared norm
/// of the differences from the centers.
size_t cordwood_code_stride(const cordwood_quantizer *quantizer);

/// For each component of `count` rows of floats, one behind the other: least, greatest, mean and
/// deviation. O(count * dimensions), in double precision.
void cordwood_column_statistics(const float *rows, size_t stride, size_t count, size_t dimensions,
                                float *least, float *greatest, float *mean, float *deviation);

/// Writes `count` rows of codes, each component's the nearest within what the bits can say: row i
/// is that of the row of floats `order[i]`, of which there is one every `stride` floats. The same
/// bytes on every instruction set.
void cordwood_encode(const cordwood_quantizer *quantizer, const float *rows, size_t stride,
                     const uint32_t *order, size_t count, uint8_t *codes);

/// Writes what a row of codes stands for.
void cordwood_decode(const cordwood_quantizer *quantizer, const uint8_t *row, float *vector);

// MARK: Distances

/// A vector made ready to be compared with codes: its components are whole numbers of 8 bits,
/// scaled by the codes' steps, so that a distance is one sum of products of whole numbers, exact on
/// every instruction set:
///
///     base + the row's term - scale * (sum of products - shift)
typedef struct cordwood_code_query {
    const int8_t *components;
    float base;
    float scale;
    int32_t shift;
} cordwood_code_query;

/// Bytes that the components of a query need, best on a multiple of 64.
size_t cordwood_code_query_bytes(const cordwood_quantizer *quantizer);

/// Makes a vector ready. `room` becomes the query's components. O(dimensions).
void cordwood_code_query_prepare(const cordwood_quantizer *quantizer, const float *vector,
                                 int8_t *room, cordwood_code_query *query);

/// Writes the distance of each of `count` rows, given by their addresses. Bound by the bytes read:
/// one multiply-add instruction to 64 of them.
void cordwood_code_distances(const cordwood_quantizer *quantizer, const cordwood_code_query *query,
                             const uint8_t *const *rows, size_t count, float *distances);

#ifdef __cplusplus
}
#endif
