import CordwoodStorage

/// A segment in the making: the batches that it will hold, its indexes and its times. Pure; whoever
/// owns it writes ``takePending()`` at the place that it names.
///
/// A class, so that handing it to a step and back does not copy the index; Sendable because its one
/// owner, a pass, uses it from one step at a time.
final class SegmentBuilder: @unchecked Sendable {
    let header: SegmentHeader
    /// Where the next batch goes.
    private(set) var end: SegmentCursor
    private(set) var index: OffsetIndex
    private(set) var timeIndex: TimeIndex
    private(set) var times = SegmentTimes()
    private let indexIntervalBytes: Int
    /// What was added and not yet taken.
    private var pending: [MemorySlice] = []
    private(set) var pendingBytes = 0

    init(_ header: SegmentHeader, indexIntervalBytes: Int) {
        self.header = header
        self.indexIntervalBytes = indexIntervalBytes
        end = .start(logID: header.logID, baseOffset: header.baseOffset)
        index = OffsetIndex(baseOffset: header.baseOffset)
        index.append(end)
        timeIndex = TimeIndex(following: index)
    }

    var isEmpty: Bool { end.position == SegmentHeader.byteCount }

    /// Adds a batch whose bytes have been verified or built here.
    func add(_ batch: MemorySlice, _ header: BatchHeader) {
        index.note(end, interval: indexIntervalBytes)
        timeIndex.absorb(maxTimestamp: header.maxTimestamp, following: index)
        end.chain.absorb(batch.unsafeBytes)
        end.position += batch.count
        end.nextOffset = header.nextOffset
        if header.recordCount > 0 {
            times.absorb(maxTimestamp: header.maxTimestamp, lastOffset: header.nextOffset - 1)
        }
        pendingBytes += batch.count
        // Batches that stay as they are lie side by side in the source, too.
        if let last = pending.last, last.block === batch.block,
            last.range.upperBound == batch.range.lowerBound
        {
            let joined = last.range.lowerBound..<batch.range.upperBound
            pending[pending.count - 1] = MemorySlice(batch.block, joined)
        } else {
            pending.append(batch)
        }
    }

    /// Hands out what is to be written next.
    func takePending() -> FileWrite? {
        guard pendingBytes > 0 else { return nil }
        defer {
            pending = []
            pendingBytes = 0
        }
        return FileWrite(at: end.position - pendingBytes, pending)
    }

    /// What the manifest will know of the segment, and its first page.
    func finish(lastAppendTime: Int64) -> (info: SegmentInfo, page: [FileWrite]) {
        var times = times
        times.lastAppendTime = lastAppendTime
        let info = SegmentInfo(id: header.id, end: end, times: times, isCompacted: true)
        let watermark = Watermark(
            sequence: 1, durable: end, groupEnd: end.position, groupWasSynced: true, times: times)
        return (
            info,
            [
                FileWrite(at: 0, [MemorySlice(header.encode())]),
                FileWrite(
                    at: watermark.slotPosition, [MemorySlice(watermark.encode(header))]),
                FileWrite(
                    at: SealSlot.position, [MemorySlice(SealSlot.encode(info, header: header))]),
            ]
        )
    }
}
