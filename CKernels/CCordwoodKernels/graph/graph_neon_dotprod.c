// Codes and graphs with NEON and its dot products of bytes.

#include <stdbool.h>

#if defined(__aarch64__)
#include <arm_neon.h>
#include <string.h>

#include "../codes/dotprod.h"

DOTPROD_BEGIN

#include "../codes/dots_neon_dotprod.h"
#include "../f32/sums_neon.h"
#include "offer.h"
#include "unseen.h"

#define KERNELS cordwood_graph_neon_dotprod
#define SUPPORTED has_dotprod
#include "kernels.h"

DOTPROD_END
#endif
