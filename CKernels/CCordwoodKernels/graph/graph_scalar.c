// Codes and graphs in plain C.

#include "../codes/dots_scalar.h"
#include "../f32/sums_scalar.h"
#include "offer.h"
#include "unseen.h"

static bool supported(void) { return true; }

#define KERNELS cordwood_graph_scalar
#define SUPPORTED supported
#include "kernels.h"
