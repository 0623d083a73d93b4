#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// Finds vectors that are equal, bit for bit.
enum EqualVectors {
    private static let none = UInt32.max

    /// For each of `count` rows of floats the first row that is equal to it, which may be itself.
    /// O(count × dimensions) expected, with a table of 8 bytes a row.
    static func representatives(
        _ rows: UnsafePointer<Float>, stride: Int, dimensions: Int, count: Int
    ) -> [UInt32] {
        var capacity = 16
        while capacity < 2 * count { capacity *= 2 }
        var slots = [UInt32](repeating: none, count: capacity)
        let byteCount = dimensions * MemoryLayout<Float>.stride
        return (0..<count).map { row in
            let bytes = UnsafeRawBufferPointer(start: rows + row * stride, count: byteCount)
            var slot = Int(truncatingIfNeeded: hash(bytes)) & (capacity - 1)
            while slots[slot] != none {
                let other = rows + Int(slots[slot]) * stride
                if memcmp(rows + row * stride, other, byteCount) == 0 { return slots[slot] }
                slot = (slot + 1) & (capacity - 1)
            }
            slots[slot] = UInt32(row)
            return UInt32(row)
        }
    }

    /// Whoever stores vectors that collide can make one build slow, and find nothing wrong.
    private static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var hash: UInt64 = 0x9e37_79b9_7f4a_7c15
        for position in Swift.stride(from: 0, to: bytes.count, by: 4) {
            let word = UInt64(bytes.loadUnaligned(fromByteOffset: position, as: UInt32.self))
            hash = (hash ^ word) &* 0xff51_afd7_ed55_8ccd
            hash ^= hash >> 32
        }
        return hash
    }
}
