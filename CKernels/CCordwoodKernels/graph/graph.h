/// The tables of the instruction sets, one to a file.
#pragma once

#include "../include/cordwood_graph.h"

extern const cordwood_graph_kernels cordwood_graph_scalar;
#if defined(__x86_64__)
extern const cordwood_graph_kernels cordwood_graph_avx2;
extern const cordwood_graph_kernels cordwood_graph_avx512;
#elif defined(__aarch64__)
extern const cordwood_graph_kernels cordwood_graph_neon;
extern const cordwood_graph_kernels cordwood_graph_neon_dotprod;
#endif
