// RaBitQ with NEON, which every 64-bit ARM processor has.

#include <stdbool.h>

#if defined(__aarch64__)
#include "sums_neon.h"

static bool supported(void) { return true; }

#define KERNELS cordwood_rabitq_neon
#define SUPPORTED supported
#include "kernels.h"
#endif
