/// The tables of the instruction sets, one to a file.
#pragma once

#include "../include/cordwood_rabitq.h"

extern const cordwood_rabitq_kernels cordwood_rabitq_scalar;
#if defined(__x86_64__)
extern const cordwood_rabitq_kernels cordwood_rabitq_avx2;
extern const cordwood_rabitq_kernels cordwood_rabitq_avx512;
#elif defined(__aarch64__)
extern const cordwood_rabitq_kernels cordwood_rabitq_neon;
#endif
