// The function of AVX-512 that offers nodes to a pool, compiled here for `test_pool.c`.

#include "test_pool.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(                                                                      \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma"))),             \
    apply_to = function)

#include "../../CKernels/CCordwoodKernels/graph/offer_avx512.h"

static uint32_t offer_here(cordwood_candidate *pool, uint32_t *count, uint32_t ef,
                           const float *distances, const uint32_t *nodes, uint32_t found) {
    return offer(pool, count, ef, distances, nodes, found);
}

#pragma clang attribute pop

offer_function *avx512_offer(void) {
    __builtin_cpu_init();
    bool is_supported = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                        __builtin_cpu_supports("avx512vnni");
    return is_supported ? offer_here : NULL;
}
#else
offer_function *avx512_offer(void) { return NULL; }
#endif
