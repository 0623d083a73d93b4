/// What the machine can do at most, measured in the process that measures the engine.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// The sum of `count` floats, by the widest loads that the processor has: a reader that does as
/// little with the bytes as can be done. `floats` must be aligned to 64 bytes and `count` be a
/// multiple of 128.
float benchmark_sum(const float *floats, size_t count);

/// The loads that `benchmark_sum` uses here: "avx512", "avx2" or "compiler".
const char *benchmark_sum_isa(void);

/// Multiplies and adds in registers, `rounds` times, by the widest instructions that the processor
/// has, and returns how many operations that was (two for each multiply-add); 0 where only the
/// compiler's own code could run. No product of matrices can be faster.
double benchmark_multiply_add(size_t rounds);

/// The sum, in whole numbers, of the first word of each line of 64 bytes of rows that lie anywhere:
/// row `rows[i]` begins `rows[i] * stride` floats into `floats`, and has `stride` floats, a
/// multiple of 16. Which rows are next is known ahead and asked for, so that no search that has to
/// find them out can be faster.
uint32_t benchmark_gather(const float *floats, const uint32_t *rows, size_t count, size_t stride);

/// `count` floats on their own pages, huge ones where the system grants them; null without memory.
/// Freed by `benchmark_free`.
float *benchmark_allocate(size_t count);
void benchmark_free(float *floats, size_t count);

#ifdef __cplusplus
}
#endif
