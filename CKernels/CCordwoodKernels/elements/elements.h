/// The tables of the instruction sets, one to a file.
#pragma once

#include "../include/cordwood_elements.h"

extern const cordwood_element_kernels cordwood_element_scalar;
#if defined(__x86_64__)
extern const cordwood_element_kernels cordwood_element_avx2;
extern const cordwood_element_kernels cordwood_element_avx512;
#elif defined(__aarch64__)
extern const cordwood_element_kernels cordwood_element_neon;
#endif
