import CordwoodStorage

/// A page of an index file: up to ``capacity`` entries behind a header with a checksum.
///
/// Layout in `docs/file-formats.md`, "Offset index". A page stands by itself: a lost, cut, zeroed
/// or flipped one is noticed and its entries are made anew from the segment.
enum IndexPage {
    static let byteCount = 4096
    private static let headerByteCount = 40
    private static let entryByteCount = 12
    static let capacity = (byteCount - headerByteCount) / entryByteCount
    private static let magic: UInt32 = 0x4449_5743  // "CWID"

    /// Where an index file has its entry of that number.
    static func position(ofEntry number: Int) -> Int {
        number / capacity * byteCount + headerByteCount + number % capacity * entryByteCount
    }

    private static let version: UInt16 = 1

    /// The bytes of page `number`, with at most ``capacity`` entries.
    static func encode(
        _ entries: ArraySlice<OffsetIndex.Entry>, number: Int, header: SegmentHeader
    ) -> MemoryBlock {
        precondition(entries.count <= capacity)
        var writer = ByteWriter(count: byteCount)
        writer.littleEndian(magic)
        writer.littleEndian(version)
        writer.littleEndian(UInt16(entries.count))
        writer.littleEndian(UInt32(number))
        writer.littleEndian(UInt32(0))  // checksum: below
        writer.littleEndian(header.logID)
        writer.littleEndian(header.baseOffset)
        writer.zeros(headerByteCount - writer.position)
        for entry in entries {
            writer.littleEndian(entry.relativeOffset)
            writer.littleEndian(entry.position)
            writer.littleEndian(entry.chain)
        }
        writer.zeros(byteCount - writer.position)
        let block = writer.finish()
        block.unsafeMutableBytes.storeBytes(
            of: crc32c(block.unsafeBytes).littleEndian, toByteOffset: checksumPosition,
            as: UInt32.self)
        return block
    }

    private static let checksumPosition = 12

    /// The entries of page `number`; nil when the bytes are not that page, whole.
    static func decode(
        _ bytes: UnsafeRawBufferPointer, number: Int, header: SegmentHeader
    ) -> [OffsetIndex.Entry]? {
        guard bytes.count == byteCount else { return nil }
        var reader = ByteReader(bytes)
        guard reader.littleEndian(UInt32.self) == magic,
            reader.littleEndian(UInt16.self) == version,
            let count = reader.littleEndian(UInt16.self), Int(count) <= capacity,
            reader.littleEndian(UInt32.self) == UInt32(number),
            let checksum = reader.littleEndian(UInt32.self),
            reader.littleEndian(UInt64.self) == header.logID,
            reader.littleEndian(Int64.self) == header.baseOffset,
            checksum == self.checksum(of: bytes, at: checksumPosition),
            reader.skip(headerByteCount - reader.position) != nil
        else { return nil }
        var entries: [OffsetIndex.Entry] = []
        entries.reserveCapacity(Int(count))
        for _ in 0..<count {
            guard let relativeOffset = reader.littleEndian(UInt32.self),
                let position = reader.littleEndian(UInt32.self),
                let chain = reader.littleEndian(UInt32.self)
            else { return nil }
            entries.append(
                .init(relativeOffset: relativeOffset, position: position, chain: chain))
        }
        return entries
    }

    /// The CRC of a page, its own field, at `position`, read as zero. Nil when it does not lie
    /// inside.
    static func checksum(of page: UnsafeRawBufferPointer, at position: Int) -> UInt32? {
        guard page.count >= position + 4 else { return nil }
        var value = crc32c(UnsafeRawBufferPointer(rebasing: page[..<position]))
        value = withUnsafeBytes(of: UInt32(0)) { crc32c($0, seed: value) }
        return crc32c(UnsafeRawBufferPointer(rebasing: page[(position + 4)...]), seed: value)
    }
}
