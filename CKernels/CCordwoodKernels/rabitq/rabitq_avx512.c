// RaBitQ with AVX-512 and its VNNI. Processors that have the one without the other use AVX2 here.

#include <stdbool.h>

#if defined(__x86_64__)
#include <immintrin.h>

static bool supported(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni");
}

#pragma clang attribute push(                                                                      \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2"))),                 \
    apply_to = function)

#include "sums_avx512.h"

#define KERNELS cordwood_rabitq_avx512
#define SUPPORTED supported
#include "kernels.h"

#pragma clang attribute pop
#endif
