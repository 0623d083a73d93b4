/// SipHash-2-4 with 128 bits of output: a keyed hash of a record's key.
///
/// Keyed, so that nobody who chooses record keys can make two of them collide without knowing the
/// 16 random bytes that each pass draws; 128 bits, because ``CompactionMap`` tells keys apart by
/// their hashes alone. J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast short-input PRF", 2012.
package struct KeyHash: Sendable {
    package struct Value: Hashable, Sendable {
        package var low: UInt64
        package var high: UInt64
    }

    private let v0: UInt64
    private let v1: UInt64
    private let v2: UInt64
    private let v3: UInt64

    /// A hash under the key of these 16 bytes, read as two little-endian numbers.
    init(_ k0: UInt64, _ k1: UInt64) {
        v0 = 0x736F_6D65_7073_6575 ^ k0
        v1 = 0x646F_7261_6E64_6F6D ^ k1 ^ 0xEE
        v2 = 0x6C79_6765_6E65_7261 ^ k0
        v3 = 0x7465_6462_7974_6573 ^ k1
    }

    /// A hash under a key drawn from `random`.
    package init(using random: inout some RandomNumberGenerator) {
        self.init(random.next(), random.next())
    }

    /// O(bytes).
    package func hash(_ bytes: UnsafeRawBufferPointer) -> Value {
        var state = State(v0: v0, v1: v1, v2: v2, v3: v3)
        var position = 0
        while position + 8 <= bytes.count {
            let word = bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self)
            state.absorb(UInt64(littleEndian: word))
            position += 8
        }
        var last = UInt64(truncatingIfNeeded: bytes.count) << 56
        var shift: UInt64 = 0
        while position < bytes.count {
            last |= UInt64(bytes[position]) << shift
            position += 1
            shift += 8
        }
        state.absorb(last)
        return state.finish()
    }

    private struct State {
        var v0: UInt64
        var v1: UInt64
        var v2: UInt64
        var v3: UInt64

        @inline(__always)
        mutating func absorb(_ word: UInt64) {
            v3 ^= word
            round()
            round()
            v0 ^= word
        }

        @inline(__always)
        mutating func finish() -> Value {
            v2 ^= 0xEE
            for _ in 0..<4 { round() }
            let low = v0 ^ v1 ^ v2 ^ v3
            v1 ^= 0xDD
            for _ in 0..<4 { round() }
            return Value(low: low, high: v0 ^ v1 ^ v2 ^ v3)
        }

        @inline(__always)
        private mutating func round() {
            v0 &+= v1
            v1 = Self.rotate(v1, 13) ^ v0
            v0 = Self.rotate(v0, 32)
            v2 &+= v3
            v3 = Self.rotate(v3, 16) ^ v2
            v0 &+= v3
            v3 = Self.rotate(v3, 21) ^ v0
            v2 &+= v1
            v1 = Self.rotate(v1, 17) ^ v2
            v2 = Self.rotate(v2, 32)
        }

        @inline(__always)
        private static func rotate(_ value: UInt64, _ count: UInt64) -> UInt64 {
            value &<< count | value &>> (64 - count)
        }
    }
}
