// Every path of the checksum against the definition, one bit at a time.

#include "check.h"
#include "cordwood_checksum.h"

#include <string.h>

static uint32_t by_definition(uint32_t crc, const uint8_t *bytes, size_t count) {
    crc = ~crc;
    for (size_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc & 1 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
        }
    }
    return ~crc;
}

/// The vectors of RFC 3720, appendix B.4, and the usual check value.
static void known_vectors(size_t variant) {
    uint8_t bytes[32];
    memset(bytes, 0, sizeof bytes);
    CHECK(cordwood_crc32c_with(variant, 0, bytes, 32) == 0x8a9136aa, "zeros");
    memset(bytes, 0xff, sizeof bytes);
    CHECK(cordwood_crc32c_with(variant, 0, bytes, 32) == 0x62a8ab43, "ones");
    for (int i = 0; i < 32; i++) {
        bytes[i] = (uint8_t)i;
    }
    CHECK(cordwood_crc32c_with(variant, 0, bytes, 32) == 0x46dd794e, "ascending");
    for (int i = 0; i < 32; i++) {
        bytes[i] = (uint8_t)(31 - i);
    }
    CHECK(cordwood_crc32c_with(variant, 0, bytes, 32) == 0x113fdb5c, "descending");
    CHECK(cordwood_crc32c_with(variant, 0, "123456789", 9) == 0xe3069283, "check value");
    CHECK(cordwood_crc32c_with(variant, 0x12345678, NULL, 0) == 0x12345678, "nothing");
}

static uint8_t bytes[(1 << 18) + 64];

static void any_length(size_t variant) {
    const char *name = cordwood_crc32c_variant_name(variant);
    for (size_t length = 0; length <= 4096; length++) {
        const uint8_t *start = bytes + length % 17;
        uint32_t seed = (uint32_t)length * 2654435761u;
        CHECK(cordwood_crc32c_with(variant, seed, start, length) ==
                  by_definition(seed, start, length),
              "%s, %zu bytes", name, length);
    }
    // Around the lengths where a path changes its stride, and lengths of real blocks.
    const size_t edges[] = {16320, 18360, 32640, 65536, 100000, 1 << 18};
    for (size_t edge = 0; edge < sizeof edges / sizeof edges[0]; edge++) {
        for (size_t length = edges[edge] - 9; length <= edges[edge] + 9; length += 3) {
            const uint8_t *start = bytes + edge;
            CHECK(cordwood_crc32c_with(variant, 7, start, length) ==
                      by_definition(7, start, length),
                  "%s, %zu bytes", name, length);
        }
    }
}

static void in_pieces(size_t variant) {
    uint64_t random = 42;
    uint32_t whole = cordwood_crc32c_with(variant, 0, bytes, 1 << 18);
    for (int round = 0; round < 20; round++) {
        uint32_t crc = 0;
        size_t at = 0;
        while (at < 1 << 18) {
            size_t length = next_random(&random) % (1 << (2 + next_random(&random) % 16));
            length = length < (1 << 18) - at ? length : (1 << 18) - at;
            crc = cordwood_crc32c_with(variant, crc, bytes + at, length);
            at += length;
        }
        CHECK(crc == whole, "%s, round %d", cordwood_crc32c_variant_name(variant), round);
    }
}

void test_checksum(void) {
    uint64_t random = 1;
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)next_random(&random);
    }
    for (size_t variant = 0; variant < cordwood_crc32c_variant_count(); variant++) {
        if (!cordwood_crc32c_variant_supported(variant)) {
            printf("crc32c %s: not on this processor\n", cordwood_crc32c_variant_name(variant));
            continue;
        }
        known_vectors(variant);
        any_length(variant);
        in_pieces(variant);
    }
    CHECK(cordwood_crc32c(3, bytes, 5000) == by_definition(3, bytes, 5000), "dispatched");
}
