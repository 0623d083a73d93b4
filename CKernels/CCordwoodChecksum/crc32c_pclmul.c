// CRC-32C by three streams of the SSE4.2 instruction, merged by carry-less multiplication. Bound by
// the throughput of the CRC instruction, one start a cycle: measured at three times crc32c_sse42.c
// from 4 KiB on, and equal to it below 264 bytes.

#include "crc32c.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define TARGET __attribute__((target("sse4.2,pclmul")))

/// Advances the register over three neighbouring streams of `length` bytes (a multiple of 8).
TARGET static inline __attribute__((always_inline)) uint32_t
three_streams(uint32_t state, const uint8_t *bytes, size_t length, uint32_t twice, uint32_t once) {
    uint64_t first = state, second = 0, third = 0;
    for (size_t at = 0; at < length; at += 8) {
        first = _mm_crc32_u64(first, crc32c_load64(bytes + at));
        second = _mm_crc32_u64(second, crc32c_load64(bytes + length + at));
        third = _mm_crc32_u64(third, crc32c_load64(bytes + 2 * length + at));
    }
    __m128i shifted = _mm_xor_si128(
        _mm_clmulepi64_si128(_mm_cvtsi64_si128((int64_t)first), _mm_cvtsi32_si128((int)twice), 0),
        _mm_clmulepi64_si128(_mm_cvtsi64_si128((int64_t)second), _mm_cvtsi32_si128((int)once), 0));
    return (uint32_t)(_mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(shifted)) ^ third);
}

TARGET uint32_t cordwood_crc32c_pclmul(uint32_t state, const uint8_t *bytes, size_t count) {
    for (; count >= 3 * CRC32C_LONG; bytes += 3 * CRC32C_LONG, count -= 3 * CRC32C_LONG) {
        state = three_streams(state, bytes, CRC32C_LONG, CRC32C_LONG_TWICE, CRC32C_LONG_ONCE);
    }
    for (; count >= 3 * CRC32C_MIDDLE; bytes += 3 * CRC32C_MIDDLE, count -= 3 * CRC32C_MIDDLE) {
        state = three_streams(state, bytes, CRC32C_MIDDLE, CRC32C_MIDDLE_TWICE, CRC32C_MIDDLE_ONCE);
    }
    for (; count >= 3 * CRC32C_SHORT; bytes += 3 * CRC32C_SHORT, count -= 3 * CRC32C_SHORT) {
        state = three_streams(state, bytes, CRC32C_SHORT, CRC32C_SHORT_TWICE, CRC32C_SHORT_ONCE);
    }
    return cordwood_crc32c_sse42(state, bytes, count);
}
#endif
