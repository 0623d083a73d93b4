#define _GNU_SOURCE

#include "benchmark_limits.h"

#include <string.h>
#include <sys/mman.h>

#if defined(__x86_64__)
#include <immintrin.h>

// Eight sums side by side: enough loads in flight to keep the memory busy, and no wait for the
// addition before.
__attribute__((target("avx512f"))) static float sum_avx512(const float *floats, size_t count) {
    __m512 sums[8];
    for (int lane = 0; lane < 8; lane++) {
        sums[lane] = _mm512_setzero_ps();
    }
    for (size_t i = 0; i < count; i += 128) {
        for (int lane = 0; lane < 8; lane++) {
            sums[lane] = _mm512_add_ps(sums[lane], _mm512_load_ps(floats + i + 16 * lane));
        }
    }
    for (int lane = 1; lane < 8; lane++) {
        sums[0] = _mm512_add_ps(sums[0], sums[lane]);
    }
    return _mm512_reduce_add_ps(sums[0]);
}

__attribute__((target("avx2"))) static float sum_avx2(const float *floats, size_t count) {
    __m256 sums[8];
    for (int lane = 0; lane < 8; lane++) {
        sums[lane] = _mm256_setzero_ps();
    }
    for (size_t i = 0; i < count; i += 64) {
        for (int lane = 0; lane < 8; lane++) {
            sums[lane] = _mm256_add_ps(sums[lane], _mm256_load_ps(floats + i + 8 * lane));
        }
    }
    for (int lane = 1; lane < 8; lane++) {
        sums[0] = _mm256_add_ps(sums[0], sums[lane]);
    }
    float parts[8];
    _mm256_storeu_ps(parts, sums[0]);
    float sum = 0;
    for (int lane = 0; lane < 8; lane++) {
        sum += parts[lane];
    }
    return sum;
}
#endif

// Independent sums, which the compiler turns into vectors of the width it may use.
static float sum_compiler(const float *floats, size_t count) {
    float sums[64] = {0};
    for (size_t i = 0; i < count; i += 64) {
        for (int lane = 0; lane < 64; lane++) {
            sums[lane] += floats[i + lane];
        }
    }
    float sum = 0;
    for (int lane = 0; lane < 64; lane++) {
        sum += sums[lane];
    }
    return sum;
}

float benchmark_sum(const float *floats, size_t count) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) {
        return sum_avx512(floats, count);
    }
    if (__builtin_cpu_supports("avx2")) {
        return sum_avx2(floats, count);
    }
#endif
    return sum_compiler(floats, count);
}

const char *benchmark_sum_isa(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) {
        return "avx512";
    }
    if (__builtin_cpu_supports("avx2")) {
        return "avx2";
    }
#endif
    return "compiler";
}

#if defined(__x86_64__)
// Sixteen independent chains cover the latency of the instruction on both of its ports. The empty
// assembly keeps the compiler from seeing that the values never change.
__attribute__((target("avx512f"))) static void multiply_add_avx512(size_t rounds) {
    __m512 sums[16];
    for (int lane = 0; lane < 16; lane++) {
        sums[lane] = _mm512_set1_ps(1);
    }
    __m512 factor = _mm512_set1_ps(0.5f);
    for (size_t round = 0; round < rounds; round++) {
        for (int lane = 0; lane < 16; lane++) {
            sums[lane] = _mm512_fmadd_ps(sums[lane], factor, factor);
            __asm__ volatile("" : "+v"(sums[lane]));
        }
    }
}

__attribute__((target("avx2,fma"))) static void multiply_add_avx2(size_t rounds) {
    __m256 sums[12];
    for (int lane = 0; lane < 12; lane++) {
        sums[lane] = _mm256_set1_ps(1);
    }
    __m256 factor = _mm256_set1_ps(0.5f);
    for (size_t round = 0; round < rounds; round++) {
        for (int lane = 0; lane < 12; lane++) {
            sums[lane] = _mm256_fmadd_ps(sums[lane], factor, factor);
            __asm__ volatile("" : "+x"(sums[lane]));
        }
    }
}
#endif

double benchmark_multiply_add(size_t rounds) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) {
        multiply_add_avx512(rounds);
        return 2.0 * 16 * 16 * (double)rounds;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        multiply_add_avx2(rounds);
        return 2.0 * 8 * 12 * (double)rounds;
    }
#endif
    (void)rounds;
    return 0;
}

uint32_t benchmark_gather(const float *floats, const uint32_t *rows, size_t count, size_t stride) {
    // As many bytes on their way as a core has buffers for, and no row so late that it is waited
    // for.
    const size_t ahead = stride >= 512 ? 2 : 1024 / stride;
    uint32_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        const float *next = floats + (size_t)rows[i + ahead < count ? i + ahead : i] * stride;
        const float *row = floats + (size_t)rows[i] * stride;
        for (size_t at = 0; at < stride; at += 16) {
            __builtin_prefetch(next + at);
        }
        for (size_t at = 0; at < stride; at += 16) {
            uint32_t word;
            memcpy(&word, row + at, sizeof(word));
            sum += word;
        }
    }
    return sum;
}

float *benchmark_allocate(size_t count) {
    void *pages = mmap(NULL, count * sizeof(float), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) {
        return NULL;
    }
    // Only advice: without huge pages the sum is a little slower.
    (void)madvise(pages, count * sizeof(float), MADV_HUGEPAGE);
    return pages;
}

void benchmark_free(float *floats, size_t count) { munmap(floats, count * sizeof(float)); }
