/// The tables of the instruction sets, one to a file.
#pragma once

#include "cordwood_kernels.h"

extern const cordwood_f32_kernels cordwood_f32_scalar;
#if defined(__x86_64__)
extern const cordwood_f32_kernels cordwood_f32_avx2;
extern const cordwood_f32_kernels cordwood_f32_avx512;
#elif defined(__aarch64__)
extern const cordwood_f32_kernels cordwood_f32_neon;
#endif
