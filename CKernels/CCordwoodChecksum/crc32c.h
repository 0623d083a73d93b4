/// What the paths share. Each path advances the CRC register (the checksum before its final
/// inversion) over some bytes; `dispatch.c` inverts at both ends.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint32_t (*crc32c_function)(uint32_t state, const uint8_t *bytes, size_t count);

uint32_t cordwood_crc32c_scalar(uint32_t state, const uint8_t *bytes, size_t count);

#if defined(__x86_64__)
uint32_t cordwood_crc32c_sse42(uint32_t state, const uint8_t *bytes, size_t count);
uint32_t cordwood_crc32c_pclmul(uint32_t state, const uint8_t *bytes, size_t count);
uint32_t cordwood_crc32c_vpclmul(uint32_t state, const uint8_t *bytes, size_t count);
#elif defined(__aarch64__)
uint32_t cordwood_crc32c_neon(uint32_t state, const uint8_t *bytes, size_t count);
#endif

static inline uint64_t crc32c_load64(const uint8_t *bytes) {
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static inline uint32_t crc32c_load32(const uint8_t *bytes) {
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static inline uint16_t crc32c_load16(const uint8_t *bytes) {
    uint16_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

/// Three streams of this many bytes each are summed side by side, because the processor's CRC
/// instruction takes three cycles but starts every cycle. Long ones amortise the merge; short ones
/// keep the serial remainder short.
enum { CRC32C_LONG = 5440, CRC32C_MIDDLE = 680, CRC32C_SHORT = 88 };

/// To append n bytes to a message is to multiply its register by x^(8n) modulo the polynomial. The
/// merge multiplies without carries, which shifts the reflected product by one bit, and reduces
/// with the CRC instruction, which multiplies by x^32: so the factors are x^(8n - 33), reflected,
/// for n = twice and once the length of a stream.
#define CRC32C_LONG_TWICE 0x0c8774a7u
#define CRC32C_LONG_ONCE 0xfa0f2bd0u
#define CRC32C_MIDDLE_TWICE 0x3f70cc6fu
#define CRC32C_MIDDLE_ONCE 0xe417f38au
#define CRC32C_SHORT_TWICE 0xdaece73eu
#define CRC32C_SHORT_ONCE 0x083a6eecu
