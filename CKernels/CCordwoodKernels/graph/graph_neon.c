// Codes and graphs with NEON, which every 64-bit ARM processor has.

#include <stdbool.h>

#if defined(__aarch64__)
#include "../codes/dots_neon.h"
#include "../f32/sums_neon.h"
#include "offer.h"
#include "unseen.h"

static bool supported(void) { return true; }

#define KERNELS cordwood_graph_neon
#define SUPPORTED supported
#include "kernels.h"
#endif
