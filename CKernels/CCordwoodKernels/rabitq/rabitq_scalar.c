// RaBitQ in plain C.

#include "sums_scalar.h"

static bool supported(void) { return true; }

#define KERNELS cordwood_rabitq_scalar
#define SUPPORTED supported
#include "kernels.h"
