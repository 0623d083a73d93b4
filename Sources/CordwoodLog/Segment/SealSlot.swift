import CordwoodStorage

/// A sealed segment's own word on where it ends, in a sector of its first page: what a reader of the
/// file alone goes by. The manifest decides; where the two differ, the segment was truncated since.
///
/// Layout in `docs/file-formats.md`, "Seal slot".
enum SealSlot {
    static let position = 1536
    static let byteCount = 64
    private static let magic: UInt64 = 0x4445_4C41_4553_5743  // "CWSEALED"

    static func encode(_ info: SegmentInfo, header: SegmentHeader) -> MemoryBlock {
        var writer = ByteWriter(count: byteCount)
        writer.littleEndian(magic)
        writer.littleEndian(UInt64(info.end.position))
        writer.littleEndian(info.end.nextOffset)
        writer.littleEndian(info.end.chain.value)
        writer.littleEndian(UInt32(info.isCompacted ? 1 : 0))
        writer.littleEndian(info.times.maxTimestamp)
        writer.littleEndian(info.times.maxTimestampOffset)
        writer.littleEndian(info.times.lastAppendTime)
        writer.zeros(byteCount - 4 - writer.position)
        writer.littleEndian(checksum(writer.block.unsafeBytes, header))
        return writer.finish()
    }

    /// What the slot says; nil when there is none, or none that is sound and this segment's.
    static func decode(_ page: UnsafeRawBufferPointer, header: SegmentHeader) -> SegmentInfo? {
        guard page.count >= position + byteCount else { return nil }
        let bytes = UnsafeRawBufferPointer(rebasing: page[position..<position + byteCount])
        var reader = ByteReader(bytes)
        guard reader.littleEndian(UInt64.self) == magic,
            let end = reader.littleEndian(UInt64.self).flatMap({ Int(exactly: $0) }),
            let nextOffset = reader.littleEndian(Int64.self),
            let chain = reader.littleEndian(UInt32.self),
            let flags = reader.littleEndian(UInt32.self), flags <= 1,
            let maxTimestamp = reader.littleEndian(Int64.self),
            let maxTimestampOffset = reader.littleEndian(Int64.self),
            let lastAppendTime = reader.littleEndian(Int64.self),
            reader.skip(byteCount - 4 - reader.position) != nil,
            reader.littleEndian(UInt32.self) == checksum(bytes, header),
            end >= SegmentHeader.byteCount, end <= SegmentHeader.maximumSegmentBytes,
            nextOffset >= header.baseOffset, nextOffset <= SegmentHeader.maximumOffset
        else { return nil }
        return SegmentInfo(
            id: header.id,
            end: SegmentCursor(
                position: end, nextOffset: nextOffset, chain: BatchChain(value: chain)),
            times: SegmentTimes(
                maxTimestamp: maxTimestamp, maxTimestampOffset: maxTimestampOffset,
                lastAppendTime: lastAppendTime),
            isCompacted: flags == 1)
    }

    /// Seeded by the segment's identity, so that the slot of another one fails.
    private static func checksum(_ slot: UnsafeRawBufferPointer, _ header: SegmentHeader) -> UInt32
    {
        crc32c(
            UnsafeRawBufferPointer(rebasing: slot[..<(byteCount - 4)]),
            seed: BatchChain(logID: header.logID, baseOffset: header.baseOffset).value)
    }
}
