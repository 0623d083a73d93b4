// Codes and graphs with AVX-512 and its VNNI. Processors that have the one without the other use
// AVX2 here.

#include <stdbool.h>

#if defined(__x86_64__)
#include <immintrin.h>

static bool supported(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("fma");
}

#pragma clang attribute push(                                                                      \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma"))),             \
    apply_to = function)

#include "../codes/dots_avx512.h"
#include "../f32/sums_avx512.h"
#include "../include/cordwood_graph.h"
#include "offer_avx512.h"

/// Copies to `nodes`, which has room for `degree` and 16, those of a list whose bit is not set: the
/// bits of sixteen are looked up, and what is left is packed, without a branch.
static inline __attribute__((always_inline)) uint32_t
unseen_nodes(const uint32_t *edges, uint32_t degree, const uint32_t *seen, uint32_t *nodes) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < degree; i += 16) {
        __mmask16 present = degree - i < 16 ? (__mmask16)((1u << (degree - i)) - 1) : 0xffff;
        __m512i list = _mm512_maskz_loadu_epi32(present, edges + i);
        __mmask16 ended = _mm512_mask_cmpeq_epi32_mask(present, list, _mm512_set1_epi32(-1));
        present &= (__mmask16)~ended;
        __m512i words = _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), present,
                                                    _mm512_srli_epi32(list, 5), seen, 4);
        __m512i bits =
            _mm512_sllv_epi32(_mm512_set1_epi32(1), _mm512_and_si512(list, _mm512_set1_epi32(31)));
        __mmask16 unseen = _mm512_mask_testn_epi32_mask(present, words, bits);
        _mm512_storeu_si512(nodes + count, _mm512_maskz_compress_epi32(unseen, list));
        count += (uint32_t)__builtin_popcount(unseen);
        if (ended) {
            break;
        }
    }
    return count;
}

#define KERNELS cordwood_graph_avx512
#define SUPPORTED supported
#include "kernels.h"

#pragma clang attribute pop
#endif
