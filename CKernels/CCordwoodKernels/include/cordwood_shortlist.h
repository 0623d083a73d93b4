/// The nearest of what was compared cheaply, to be compared again.
#pragma once

#include "cordwood_kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    /// As many can be added before it has to be looked at whether there is room.
    CORDWOOD_SHORTLIST_STEP = 32,
};

/// The `kept` nearest places seen, by distance and then by place: the same ones in whatever order
/// they came. More than those are held until room runs out, when the others are dropped, so that
/// adding one costs a few instructions and no look at the others.
typedef struct cordwood_shortlist {
    /// A distance in the high half, as a number with the same order, and a place in the low half.
    uint64_t *keys;
    uint32_t kept;
    /// At least `kept` + CORDWOOD_SHORTLIST_STEP; twice `kept` makes dropping cheap.
    uint32_t room;
    uint32_t count;
    /// What is farther cannot be among the kept: infinity until there are so many.
    float threshold;
} cordwood_shortlist;

/// An empty list that keeps `kept` (at least one) over the caller's memory for `room` keys.
void cordwood_shortlist_init(cordwood_shortlist *list, uint64_t *keys, uint32_t kept,
                             uint32_t room);

/// Drops all but the kept, in no order. O(count) expected.
void cordwood_shortlist_cut(cordwood_shortlist *list);

/// Sorts keys, least first. O(count log count).
void cordwood_keys_sort(uint64_t *keys, size_t count);

/// The float with this key's order. A distance that is not a number counts as infinite.
uint64_t cordwood_key(float distance, uint32_t place);
float cordwood_key_distance(uint64_t key);

#ifdef __cplusplus
}
#endif
