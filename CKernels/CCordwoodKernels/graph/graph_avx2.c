// Codes and graphs with AVX2 and FMA.

#include <stdbool.h>

#if defined(__x86_64__)
#include <immintrin.h>

static bool supported(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)

#include "../codes/dots_avx2.h"
#include "../f32/sums_avx2.h"
#include "offer.h"
#include "unseen.h"

#define KERNELS cordwood_graph_avx2
#define SUPPORTED supported
#include "kernels.h"

#pragma clang attribute pop
#endif
