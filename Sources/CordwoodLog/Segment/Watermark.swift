import CordwoodStorage

/// How much of a segment is durable, and which bytes were being written when that was noted.
///
/// Written beside every group, into one of two slots of the segment's first page, and made durable
/// by the same sync as the group. So a slot that is read after a crash names the place up to which
/// everything was durable *before* its group was written, and the end of that group: recovery scans
/// from there only, and can tell a group that was cut by the crash from one that was damaged later
/// (``Recovery``).
struct Watermark: Equatable {
    /// Counts the groups of this segment; the larger one of two valid slots is the newer.
    var sequence: UInt64
    /// Everything before this place was durable when the slot was written.
    var durable: SegmentCursor
    /// Where the group that was written with the slot ends.
    var groupEnd: Int
    /// Whether the log synced that group before it wrote anything behind it.
    var groupWasSynced: Bool
    /// The times of the records before ``durable``.
    var times = SegmentTimes()

    static let byteCount = 64
    /// Where the slots lie in the header page: sectors of their own.
    static let slotPositions = [512, 1024]

    /// The place of this watermark's slot in the file.
    var slotPosition: Int { Self.slotPosition(ofSequence: sequence) }

    static func slotPosition(ofSequence sequence: UInt64) -> Int {
        slotPositions[Int(sequence % 2)]
    }

    /// The bytes of the slot. The segment's identity seeds its checksum, so a slot of another one
    /// fails.
    func encode(_ header: SegmentHeader) -> MemoryBlock {
        let baseOffset = header.baseOffset
        let identity = BatchChain(logID: header.logID, baseOffset: baseOffset)
        var writer = ByteWriter(count: Self.byteCount)
        writer.littleEndian(sequence)
        writer.littleEndian(UInt64(durable.position))
        writer.littleEndian(durable.nextOffset)
        writer.littleEndian(durable.chain.value)
        writer.littleEndian(UInt32(groupWasSynced ? 1 : 0))
        writer.littleEndian(UInt64(groupEnd))
        writer.littleEndian(times.maxTimestamp)
        writer.littleEndian(times.lastAppendTime)
        // Behind the base offset, so that 0 says "not known", as in files that have no times.
        writer.littleEndian(
            times.maxTimestampOffset < baseOffset
                ? 0 : UInt32(truncatingIfNeeded: times.maxTimestampOffset - baseOffset + 1))
        writer.littleEndian(
            crc32c(
                UnsafeRawBufferPointer(rebasing: writer.block.unsafeBytes[..<writer.position]),
                seed: identity.value))
        return writer.finish()
    }

    /// The newest valid watermark of a header page; nil in a segment that was never written to, or
    /// when both slots are damaged.
    static func newest(
        in page: UnsafeRawBufferPointer, header: SegmentHeader
    ) -> Watermark? {
        let identity = BatchChain(logID: header.logID, baseOffset: header.baseOffset)
        return slotPositions.compactMap { position in
            guard page.count >= position + byteCount else { return nil }
            return Watermark(
                UnsafeRawBufferPointer(rebasing: page[position..<position + byteCount]),
                identity: identity, baseOffset: header.baseOffset)
        }.max { $0.sequence < $1.sequence }
    }

    /// What a slot of a header page holds.
    enum Slot: Equatable {
        case unwritten
        case damaged
        case sound(Watermark)
    }

    /// Both slots, as they are. Slots that the page is too short for are damaged.
    static func slots(
        in page: UnsafeRawBufferPointer, header: SegmentHeader
    ) -> [(position: Int, slot: Slot)] {
        let identity = BatchChain(logID: header.logID, baseOffset: header.baseOffset)
        return slotPositions.map { position in
            guard page.count >= position + byteCount else { return (position, .damaged) }
            let bytes = UnsafeRawBufferPointer(rebasing: page[position..<position + byteCount])
            if bytes.allSatisfy({ $0 == 0 }) { return (position, .unwritten) }
            let watermark = Watermark(bytes, identity: identity, baseOffset: header.baseOffset)
            return (position, watermark.map { .sound($0) } ?? .damaged)
        }
    }

    private init?(_ bytes: UnsafeRawBufferPointer, identity: BatchChain, baseOffset: Int64) {
        var reader = ByteReader(bytes)
        guard let sequence = reader.littleEndian(UInt64.self), sequence > 0,
            let position = reader.littleEndian(UInt64.self).flatMap({ Int(exactly: $0) }),
            let nextOffset = reader.littleEndian(Int64.self),
            let chain = reader.littleEndian(UInt32.self),
            let flags = reader.littleEndian(UInt32.self), flags <= 1,
            let groupEnd = reader.littleEndian(UInt64.self).flatMap({ Int(exactly: $0) }),
            let maxTimestamp = reader.littleEndian(Int64.self),
            let lastAppendTime = reader.littleEndian(Int64.self),
            let maxTimestampPlace = reader.littleEndian(UInt32.self),
            let checksum = reader.littleEndian(UInt32.self),
            checksum
                == crc32c(
                    UnsafeRawBufferPointer(rebasing: bytes[..<(Self.byteCount - 4)]),
                    seed: identity.value),
            position >= SegmentHeader.byteCount, groupEnd >= position,
            groupEnd <= SegmentHeader.maximumSegmentBytes, nextOffset >= baseOffset,
            nextOffset - baseOffset <= Int64(Int32.max)
        else { return nil }
        self.init(
            sequence: sequence,
            durable: SegmentCursor(
                position: position, nextOffset: nextOffset, chain: BatchChain(value: chain)),
            groupEnd: groupEnd, groupWasSynced: flags == 1)
        if maxTimestampPlace > 0 {
            times = SegmentTimes(
                maxTimestamp: maxTimestamp,
                maxTimestampOffset: baseOffset + Int64(maxTimestampPlace) - 1,
                lastAppendTime: lastAppendTime)
        }
    }

    init(
        sequence: UInt64, durable: SegmentCursor, groupEnd: Int, groupWasSynced: Bool,
        times: SegmentTimes = .init()
    ) {
        self.sequence = sequence
        self.durable = durable
        self.groupEnd = groupEnd
        self.groupWasSynced = groupWasSynced
        self.times = times
    }
}
