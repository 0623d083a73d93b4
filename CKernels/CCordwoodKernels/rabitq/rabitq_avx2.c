// RaBitQ with AVX2.

#include <stdbool.h>

#if defined(__x86_64__)
#include <immintrin.h>

static bool supported(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2");
}

#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)

#include "sums_avx2.h"

#define KERNELS cordwood_rabitq_avx2
#define SUPPORTED supported
#include "kernels.h"

#pragma clang attribute pop
#endif
