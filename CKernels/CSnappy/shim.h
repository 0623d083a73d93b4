/// Debian's package has no pkg-config file: the module map names the library to link.
#pragma once
#include <snappy-c.h>
