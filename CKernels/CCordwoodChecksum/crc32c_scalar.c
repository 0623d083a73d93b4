// CRC-32C by tables, eight bytes a step ("slicing by 8"). For processors with no CRC instruction
// and as a reference for the others. Bound by the latency from one step's
// register through a table load to the next: under one byte a cycle, a fifth of crc32c_sse42.c.

#include "crc32c.h"

/// The polynomial, reflected: bit 31 is the coefficient of x^0.
static const uint32_t polynomial = 0x82f63b78;

/// tables[k][b]: the register that byte b leaves behind after k further zero bytes.
static uint32_t tables[8][256];

/// Filled before `main` and before any thread exists, so that the loop needs no check.
__attribute__((constructor)) static void fill_tables(void) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t state = byte;
        for (int bit = 0; bit < 8; bit++) {
            state = (state >> 1) ^ ((state & 1) ? polynomial : 0);
        }
        tables[0][byte] = state;
    }
    for (int zeros = 1; zeros < 8; zeros++) {
        for (int byte = 0; byte < 256; byte++) {
            uint32_t before = tables[zeros - 1][byte];
            tables[zeros][byte] = (before >> 8) ^ tables[0][before & 0xff];
        }
    }
}

uint32_t cordwood_crc32c_scalar(uint32_t state, const uint8_t *bytes, size_t count) {
    for (; count >= 8; bytes += 8, count -= 8) {
        // Bytes are gathered one by one, so that the order of bytes in memory does not matter; the
        // compiler turns each into one load where it can.
        uint32_t low = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
                       (uint32_t)bytes[3] << 24;
        low ^= state;
        state = tables[7][low & 0xff] ^ tables[6][(low >> 8) & 0xff] ^
                tables[5][(low >> 16) & 0xff] ^ tables[4][low >> 24] ^ tables[3][bytes[4]] ^
                tables[2][bytes[5]] ^ tables[1][bytes[6]] ^ tables[0][bytes[7]];
    }
    for (; count > 0; bytes++, count--) {
        state = (state >> 8) ^ tables[0][(state ^ *bytes) & 0xff];
    }
    return state;
}
