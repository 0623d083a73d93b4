import Testing

@testable import CordwoodLog

/// The hash is the one that its authors published.
@Suite struct KeyHashTests {
    /// Inputs of 0, 1 and 2 bytes counting up from 0, under the key 00 01 … 0f.
    @Test func agreesWithTheReferenceVectors() {
        let hash = KeyHash(0x0706_0504_0302_0100, 0x0F0E_0D0C_0B0A_0908)
        let expected: [[UInt8]] = [
            [
                0xA3, 0x81, 0x7F, 0x04, 0xBA, 0x25, 0xA8, 0xE6, 0x6D, 0xF6, 0x72, 0x14, 0xC7, 0x55,
                0x02, 0x93,
            ],
            [
                0xDA, 0x87, 0xC1, 0xD8, 0x6B, 0x99, 0xAF, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9B, 0x22,
                0xFC, 0x45,
            ],
            [
                0x81, 0x77, 0x22, 0x8D, 0xA4, 0xA4, 0x5D, 0xC7, 0xFC, 0xA3, 0x8B, 0xDE, 0xF6, 0x0A,
                0xFF, 0xE4,
            ],
        ]
        for (count, bytes) in expected.enumerated() {
            let value = (0..<count).map { UInt8($0) }.withUnsafeBytes { hash.hash($0) }
            let found = withUnsafeBytes(of: (value.low.littleEndian, value.high.littleEndian)) {
                Array($0)
            }
            #expect(found == bytes, "\(count) bytes")
        }
    }

    /// Every byte of every length reaches the result.
    @Test func everyByteCounts() {
        let hash = KeyHash(1, 2)
        for count in 1..<40 {
            var bytes = [UInt8](repeating: 7, count: count)
            let before = bytes.withUnsafeBytes { hash.hash($0) }
            for index in 0..<count {
                bytes[index] ^= 1
                #expect(bytes.withUnsafeBytes { hash.hash($0) } != before)
                bytes[index] ^= 1
            }
            let shorter = bytes.dropLast().withUnsafeBytes { hash.hash($0) }
            #expect(shorter != before)
        }
    }
}
