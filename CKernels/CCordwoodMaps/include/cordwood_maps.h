/// Maps of files that somebody else may cut, or whose disk may fail: a page that the system cannot
/// bring becomes a page of zeros, where it would otherwise end the process with SIGBUS.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Watches a private or shared read-only map from now on. The first call puts a handler for SIGBUS
/// in place, which hands every fault outside of watched maps to the handler that was there before.
/// `base` must be the start of a map. False without memory; the map is not watched then. Safe from
/// any thread.
bool cordwood_maps_watch(void *base, size_t count);

/// Forgets a map, before it is unmapped.
void cordwood_maps_forget(void *base);

#ifdef __cplusplus
}
#endif
