/// The functions of one instruction set, as a table: the end of each of its files, which define
/// KERNELS and SUPPORTED.
#include "encode.h"
#include "rotate.h"
#include "scan.h"

#include "rabitq.h"

const cordwood_rabitq_kernels KERNELS = {SUPPORTED, rotate, encode, prepare, estimates, scan};
