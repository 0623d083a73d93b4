/// The tables of the instruction sets, one to a file, and the layout of blocks.
#pragma once

#include "../include/cordwood_pq.h"

#define INLINE static inline __attribute__((always_inline))

enum { PQ_GROUPS_AT_ONCE = 4 };

INLINE size_t pq_centroids(const cordwood_pq *pq) { return (size_t)1 << pq->bits; }

/// Groups with those of padding.
INLINE size_t pq_padded_groups(const cordwood_pq *pq) {
    return (pq->groups + PQ_GROUPS_AT_ONCE - 1) / PQ_GROUPS_AT_ONCE * PQ_GROUPS_AT_ONCE;
}

/// Bytes of a block's codes.
INLINE size_t pq_code_bytes(const cordwood_pq *pq) {
    return pq->bits == 4 ? pq_padded_groups(pq) * CORDWOOD_PQ_BLOCK / 2
                         : pq->groups * CORDWOOD_PQ_BLOCK;
}

INLINE size_t pq_block_bytes(const cordwood_pq *pq) {
    return pq_code_bytes(pq) + (pq->has_terms ? CORDWOOD_PQ_BLOCK * sizeof(float) : 0);
}

extern const cordwood_pq_kernels cordwood_pq_scalar;
#if defined(__x86_64__)
extern const cordwood_pq_kernels cordwood_pq_avx2;
extern const cordwood_pq_kernels cordwood_pq_avx512;
#elif defined(__aarch64__)
extern const cordwood_pq_kernels cordwood_pq_neon;
#endif
