/// Reads fixed-width numbers and lengths from bytes that nobody vouches for.
///
/// Every read checks the bytes that remain and returns nil instead of reading past them, so a
/// parser is a chain of `guard let`s. The reader borrows: it must not outlive the memory it was
/// given, which is why it is not public and why parsers build it inside `withBytes`.
package struct ByteReader {
    private let bytes: UnsafeRawBufferPointer
    package private(set) var position: Int

    package init(_ bytes: UnsafeRawBufferPointer, at position: Int = 0) {
        self.bytes = bytes
        self.position = position
    }

    package var remaining: Int { bytes.count - position }

    /// Advances over `count` bytes, or returns nil and stays where it is.
    package mutating func skip(_ count: Int) -> Void? {
        guard count >= 0, count <= remaining else { return nil }
        position += count
        return ()
    }

    package mutating func littleEndian<T: FixedWidthInteger>(_ type: T.Type = T.self) -> T? {
        raw(type).map { T(littleEndian: $0) }
    }

    package mutating func bigEndian<T: FixedWidthInteger>(_ type: T.Type = T.self) -> T? {
        raw(type).map { T(bigEndian: $0) }
    }

    package mutating func bytes(_ count: Int) -> UnsafeRawBufferPointer? {
        guard count >= 0, count <= remaining else { return nil }
        defer { position += count }
        return UnsafeRawBufferPointer(rebasing: bytes[position..<position + count])
    }

    /// A zigzag varint of at most 64 bits, as Kafka's records use. Refuses more than ten bytes,
    /// and a tenth byte that would overflow.
    package mutating func varint() -> Int64? {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        var cursor = position
        while cursor < bytes.count {
            let byte = bytes[cursor]
            cursor += 1
            if shift == 63 && byte > 1 { return nil }
            value |= UInt64(byte & 0x7F) << shift
            if byte & 0x80 == 0 {
                position = cursor
                return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
            }
            shift += 7
        }
        return nil
    }

    /// A varint that must fit in 32 bits, such as a length or a delta.
    package mutating func varint32() -> Int32? {
        let start = position
        guard let wide = varint(), let value = Int32(exactly: wide) else {
            position = start
            return nil
        }
        return value
    }

    private mutating func raw<T: FixedWidthInteger>(_ type: T.Type) -> T? {
        let width = MemoryLayout<T>.size
        guard remaining >= width else { return nil }
        defer { position += width }
        return bytes.loadUnaligned(fromByteOffset: position, as: type)
    }
}
