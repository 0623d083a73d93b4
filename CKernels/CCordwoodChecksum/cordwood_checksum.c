#include "cordwood_checksum.h"
