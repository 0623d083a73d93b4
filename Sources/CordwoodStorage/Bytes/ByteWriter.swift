/// Fills a ``MemoryBlock`` from front to back.
///
/// The caller computes the size first, so that a record batch costs one allocation; writing past
/// the end is a bug of this library and traps.
package struct ByteWriter: ~Copyable {
    package let block: MemoryBlock
    /// The block's bytes, which live as long as it does.
    @usableFromInline let target: UnsafeMutableRawBufferPointer
    @usableFromInline var cursor = 0

    @inlinable package var position: Int { cursor }

    package init(count: Int) {
        block = MemoryBlock(count: count)
        target = block.unsafeMutableBytes
    }

    // Inlinable: the generic functions so that other modules compile them for their types, the
    // others because an encoder calls them some ten times a record.

    @inlinable package mutating func littleEndian<T: FixedWidthInteger>(_ value: T) {
        raw(value.littleEndian)
    }

    @inlinable package mutating func bigEndian<T: FixedWidthInteger>(_ value: T) {
        raw(value.bigEndian)
    }

    @inlinable package mutating func bytes(_ bytes: UnsafeRawBufferPointer) {
        precondition(bytes.count <= target.count - cursor)
        if let source = bytes.baseAddress {
            target.baseAddress!.advanced(by: cursor)
                .copyMemory(from: source, byteCount: bytes.count)
        }
        cursor += bytes.count
    }

    @inlinable package mutating func bytes(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { self.bytes($0) }
    }

    package mutating func zeros(_ count: Int) {
        precondition(count >= 0 && count <= block.count - position)
        target.baseAddress!.advanced(by: position)
            .initializeMemory(as: UInt8.self, repeating: 0, count: count)
        cursor += count
    }

    /// A zigzag varint, as Kafka's records use.
    @inlinable package mutating func varint(_ value: Int64) {
        var rest = UInt64(bitPattern: (value << 1) ^ (value >> 63))
        while rest >= 0x80 {
            raw(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        raw(UInt8(truncatingIfNeeded: rest))
    }

    /// The bytes that ``varint(_:)`` writes for `value`: 1 to 10.
    @inlinable package static func varintCount(_ value: Int64) -> Int {
        let zigzag = UInt64(bitPattern: (value << 1) ^ (value >> 63))
        return max(1, (70 - zigzag.leadingZeroBitCount) / 7)
    }

    /// The block, which must be full: a size that was computed wrongly is found here.
    package consuming func finish() -> MemoryBlock {
        precondition(position == block.count, "wrote \(position) of \(block.count) bytes")
        return block
    }

    /// The same as an array, copied.
    package consuming func finishArray() -> [UInt8] {
        let block = finish()
        // The bytes are the block's, which must outlive the copy.
        return withExtendedLifetime(block) { Array(block.unsafeBytes) }
    }

    @inlinable mutating func raw<T: FixedWidthInteger>(_ value: T) {
        precondition(MemoryLayout<T>.size <= target.count - cursor)
        target.storeBytes(of: value, toByteOffset: cursor, as: T.self)
        cursor += MemoryLayout<T>.size
    }
}
