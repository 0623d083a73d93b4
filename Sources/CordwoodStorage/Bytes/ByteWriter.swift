/// Fills a ``MemoryBlock`` from front to back.
///
/// The caller computes the size first, so that a record batch costs one allocation; writing past
/// the end is a bug of this library and traps.
package struct ByteWriter: ~Copyable {
    package let block: MemoryBlock
    @usableFromInline var cursor = 0

    package var position: Int { cursor }

    package init(count: Int) { block = MemoryBlock(count: count) }

    // The generic functions are inlinable so that other modules compile them for their types.

    @inlinable package mutating func littleEndian<T: FixedWidthInteger>(_ value: T) {
        raw(value.littleEndian)
    }

    @inlinable package mutating func bigEndian<T: FixedWidthInteger>(_ value: T) {
        raw(value.bigEndian)
    }

    package mutating func bytes(_ bytes: UnsafeRawBufferPointer) {
        precondition(bytes.count <= block.count - position)
        block.unsafeMutableBytes.baseAddress!.advanced(by: position)
            .copyMemory(
                from: bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 1)!, byteCount: bytes.count)
        cursor += bytes.count
    }

    package mutating func bytes(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { self.bytes($0) }
    }

    package mutating func zeros(_ count: Int) {
        precondition(count >= 0 && count <= block.count - position)
        block.unsafeMutableBytes.baseAddress!.advanced(by: position)
            .initializeMemory(as: UInt8.self, repeating: 0, count: count)
        cursor += count
    }

    /// A zigzag varint, as Kafka's records use.
    package mutating func varint(_ value: Int64) {
        var rest = UInt64(bitPattern: (value << 1) ^ (value >> 63))
        while rest >= 0x80 {
            raw(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        raw(UInt8(truncatingIfNeeded: rest))
    }

    /// The bytes that ``varint(_:)`` writes for `value`: 1 to 10.
    package static func varintCount(_ value: Int64) -> Int {
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
        precondition(MemoryLayout<T>.size <= block.count - cursor)
        block.unsafeMutableBytes.storeBytes(of: value, toByteOffset: cursor, as: T.self)
        cursor += MemoryLayout<T>.size
    }
}
