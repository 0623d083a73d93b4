/// Reads fixed-width numbers and lengths from bytes that nobody vouches for.
///
/// Every read checks the bytes that remain and returns nil instead of reading past them, so a
/// parser is a chain of `guard let`s. The reader borrows: it must not outlive the memory it was
/// given, which is why it is not public and why parsers build it inside `withBytes`.
package struct ByteReader {
    @usableFromInline let bytes: UnsafeRawBufferPointer
    @usableFromInline var cursor: Int

    @inlinable package var position: Int { cursor }

    @inlinable package init(_ bytes: UnsafeRawBufferPointer, at position: Int = 0) {
        self.bytes = bytes
        cursor = position
    }

    @inlinable package var remaining: Int { bytes.count - cursor }

    /// Advances over `count` bytes, or returns nil and stays where it is.
    @inlinable package mutating func skip(_ count: Int) -> Void? {
        guard count >= 0, count <= remaining else { return nil }
        cursor += count
        return ()
    }

    // Inlinable: the generic functions so that other modules compile them for their types, the
    // others because parsers call them some ten times a record.

    @inlinable
    package mutating func littleEndian<T: FixedWidthInteger>(_ type: T.Type = T.self) -> T? {
        raw(type).map { T(littleEndian: $0) }
    }

    @inlinable
    package mutating func bigEndian<T: FixedWidthInteger>(_ type: T.Type = T.self) -> T? {
        raw(type).map { T(bigEndian: $0) }
    }

    @inlinable package mutating func bytes(_ count: Int) -> UnsafeRawBufferPointer? {
        guard count >= 0, count <= remaining else { return nil }
        defer { cursor += count }
        return UnsafeRawBufferPointer(rebasing: bytes[cursor..<cursor + count])
    }

    /// A zigzag varint of at most 64 bits, as Kafka's records use. Refuses more than ten bytes,
    /// and a tenth byte that would overflow.
    @inlinable package mutating func varint() -> Int64? {
        // Nearly all lengths and differences in a record take one byte.
        if cursor < bytes.count, bytes[cursor] < 0x80 {
            let byte = UInt64(bytes[cursor])
            cursor += 1
            return Int64(bitPattern: byte >> 1) ^ -Int64(bitPattern: byte & 1)
        }
        return longVarint()
    }

    @usableFromInline mutating func longVarint() -> Int64? {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        var place = cursor
        while place < bytes.count {
            let byte = bytes[place]
            place += 1
            if shift == 63 && byte > 1 { return nil }
            value |= UInt64(byte & 0x7F) << shift
            if byte & 0x80 == 0 {
                cursor = place
                return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
            }
            shift += 7
        }
        return nil
    }

    /// A varint that must fit in 32 bits, such as a length or a delta.
    @inlinable package mutating func varint32() -> Int32? {
        let start = cursor
        guard let wide = varint(), let value = Int32(exactly: wide) else {
            cursor = start
            return nil
        }
        return value
    }

    @inlinable mutating func raw<T: FixedWidthInteger>(_ type: T.Type) -> T? {
        let width = MemoryLayout<T>.size
        guard remaining >= width else { return nil }
        defer { cursor += width }
        return bytes.loadUnaligned(fromByteOffset: cursor, as: type)
    }
}
