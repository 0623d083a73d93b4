// CRC-32C by three streams of the ARMv8 CRC instruction, merged by carry-less multiplication. Bound
// by the throughput of the CRC instruction: eight bytes a cycle on the cores that start one each
// cycle.

#include "crc32c.h"

#if defined(__aarch64__)

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("crc,aes"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("+crc+crypto")
#endif

#include <arm_acle.h>
#include <arm_neon.h>

static inline uint64_t multiply(uint32_t state, uint32_t factor) {
    return vgetq_lane_u64(vreinterpretq_u64_p128(vmull_p64((poly64_t)state, (poly64_t)factor)), 0);
}

/// Advances the register over three neighbouring streams of `length` bytes (a multiple of 8).
static inline uint32_t three_streams(uint32_t state, const uint8_t *bytes, size_t length,
                                     uint32_t twice, uint32_t once) {
    uint32_t second = 0, third = 0;
    for (size_t at = 0; at < length; at += 8) {
        state = __crc32cd(state, crc32c_load64(bytes + at));
        second = __crc32cd(second, crc32c_load64(bytes + length + at));
        third = __crc32cd(third, crc32c_load64(bytes + 2 * length + at));
    }
    return __crc32cd(0, multiply(state, twice) ^ multiply(second, once)) ^ third;
}

uint32_t cordwood_crc32c_neon(uint32_t state, const uint8_t *bytes, size_t count) {
    for (; count >= 3 * CRC32C_LONG; bytes += 3 * CRC32C_LONG, count -= 3 * CRC32C_LONG) {
        state = three_streams(state, bytes, CRC32C_LONG, CRC32C_LONG_TWICE, CRC32C_LONG_ONCE);
    }
    for (; count >= 3 * CRC32C_MIDDLE; bytes += 3 * CRC32C_MIDDLE, count -= 3 * CRC32C_MIDDLE) {
        state = three_streams(state, bytes, CRC32C_MIDDLE, CRC32C_MIDDLE_TWICE, CRC32C_MIDDLE_ONCE);
    }
    for (; count >= 3 * CRC32C_SHORT; bytes += 3 * CRC32C_SHORT, count -= 3 * CRC32C_SHORT) {
        state = three_streams(state, bytes, CRC32C_SHORT, CRC32C_SHORT_TWICE, CRC32C_SHORT_ONCE);
    }
    for (; count >= 8; bytes += 8, count -= 8) {
        state = __crc32cd(state, crc32c_load64(bytes));
    }
    if (count & 4) {
        state = __crc32cw(state, crc32c_load32(bytes));
        bytes += 4;
    }
    if (count & 2) {
        state = __crc32ch(state, crc32c_load16(bytes));
        bytes += 2;
    }
    if (count & 1) {
        state = __crc32cb(state, *bytes);
    }
    return state;
}

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
