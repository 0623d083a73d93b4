#include "cordwood_kernels.h"
