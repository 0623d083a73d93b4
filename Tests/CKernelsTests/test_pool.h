/// What the tests of pools share.
#pragma once

#include "check.h"

#include "../../CKernels/CCordwoodKernels/include/cordwood_graph.h"

/// Offers so many nodes to a pool; see `offer.h`.
typedef uint32_t offer_function(cordwood_candidate *pool, uint32_t *count, uint32_t ef,
                                const float *distances, const uint32_t *nodes, uint32_t found);

/// That of AVX-512, or null where this machine has none.
offer_function *avx512_offer(void);
