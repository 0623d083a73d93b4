// Product quantization with AVX2: a shuffle looks up 32 codes, of two groups.

#include <stdbool.h>

#if defined(__x86_64__)
#include <immintrin.h>

#include "pq.h"

#pragma STDC FP_CONTRACT OFF

static bool supported(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2");
}

#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)

#include "blocks_avx2.h"

#define KERNELS cordwood_pq_avx2
#define SUPPORTED supported
#include "loops.h"

#pragma clang attribute pop
#endif
