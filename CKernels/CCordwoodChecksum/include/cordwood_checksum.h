/// CRC-32C (Castagnoli), the checksum of Kafka record batches and of everything Cordwood writes.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// The CRC-32C of `count` bytes. `crc` is 0 for the first piece of a message and the previous
/// result for each further piece, so that a message may be summed in pieces of any length.
/// `bytes` needs no alignment, and may be null when `count` is 0. Safe from any thread.
uint32_t cordwood_crc32c(uint32_t crc, const void *bytes, size_t count);

/// The name of the path that `cordwood_crc32c` takes on this machine: "scalar", "sse42", "pclmul",
/// "vpclmul" or "neon". Chosen once, from what the processor has; CORDWOOD_ISA=scalar|avx2|avx512|
/// neon lowers the choice to "scalar", "pclmul", "vpclmul" or "neon". A value that is unknown, or
/// that this processor lacks, is ignored.
const char *cordwood_crc32c_path(void);

/// Every path that was compiled in, so that tests can hold each against a reference.
size_t cordwood_crc32c_variant_count(void);
const char *cordwood_crc32c_variant_name(size_t variant);

/// Whether this processor can run the variant.
bool cordwood_crc32c_variant_supported(size_t variant);

/// As `cordwood_crc32c`, by one supported variant.
uint32_t cordwood_crc32c_with(size_t variant, uint32_t crc, const void *bytes, size_t count);

#ifdef __cplusplus
}
#endif
