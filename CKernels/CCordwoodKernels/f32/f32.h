/// The tables of the instruction sets, one to a file.
#pragma once

#include "cordwood_kernels.h"

extern const cordwood_f32_kernels cordwood_f32_scalar;
#if defined(__x86_64__)
extern const cordwood_f32_kernels cordwood_f32_avx2;
extern const cordwood_f32_kernels cordwood_f32_avx512;

size_t cordwood_f32_batch_scratch_avx512(size_t dimensions);
void cordwood_f32_batch_avx512(const cordwood_f32_tile_input *input, float *scratch,
                               cordwood_topk *topks);
/// Offers the rows `first` + (bits of `mask`) at their exact distances.
void cordwood_f32_offer_avx512(const cordwood_f32_query *query, const cordwood_f32_rows *rows,
                               size_t first, unsigned mask, cordwood_topk *topk);
#elif defined(__aarch64__)
extern const cordwood_f32_kernels cordwood_f32_neon;
extern const cordwood_f32_kernels cordwood_f32_neon_dotprod;
#endif
