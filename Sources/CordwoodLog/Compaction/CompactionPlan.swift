/// Which segments a compaction concerns, from what the manifest knows. Pure, O(segments).
struct CompactionPlan: Equatable {
    /// How many of the log's sealed segments, from the oldest on, may be rewritten.
    private(set) var segmentCount = 0
    /// The first offset that has not been compacted.
    let firstDirtyOffset: Int64
    /// Bytes of segments that have been compacted whole.
    private(set) var cleanBytes = 0
    /// Bytes of the others that may be compacted now.
    private(set) var cleanableBytes = 0

    /// Ends before the first segment that holds something at or behind `stableOffset` (a
    /// transaction that is not decided, a record that is not replicated) or that is younger than
    /// the minimum lag. The active segment is never in `sealed`.
    init(
        _ sealed: [SegmentInfo], startOffset: Int64, cleanedUpTo: Int64, stableOffset: Int64,
        now: Int64, configuration: LogConfiguration
    ) {
        firstDirtyOffset = max(startOffset, cleanedUpTo)
        for info in sealed {
            guard info.end.nextOffset <= stableOffset,
                info.age(at: now) >= Int64(configuration.minCompactionLagMilliseconds)
            else { break }
            segmentCount += 1
            if info.end.nextOffset <= firstDirtyOffset {
                cleanBytes += info.end.position
            } else {
                cleanableBytes += info.end.position
            }
        }
    }

    /// The part of the compactable log that has not been compacted.
    var dirtyRatio: Double {
        cleanableBytes == 0 ? 0 : Double(cleanableBytes) / Double(cleanBytes + cleanableBytes)
    }

    /// The most segments in one group: bounds the edit that replaces them.
    private static let maximumGroupCount = 1000

    /// How many segments from the front make one group: what fits into one segment by bytes and by
    /// offsets, and at least one.
    static func groupCount(_ infos: some Collection<SegmentInfo>, segmentBytes: Int) -> Int {
        guard let first = infos.first else { return 0 }
        var count = 1
        var bytes = first.end.position
        for info in infos.dropFirst() {
            bytes += info.end.position - SegmentHeader.byteCount
            guard bytes <= segmentBytes, count < maximumGroupCount,
                info.end.nextOffset - first.id.baseOffset <= Int64(Int32.max)
            else { break }
            count += 1
        }
        return count
    }
}

extension SegmentInfo {
    /// How long ago the last record was written, in milliseconds: by its timestamp, but a timestamp
    /// in the future counts no more than the log's own clock at the last append.
    fileprivate func age(at now: Int64) -> Int64 {
        let written =
            times.lastAppendTime > 0
            ? min(times.maxTimestamp, times.lastAppendTime) : times.maxTimestamp
        let (age, overflow) = now.subtractingReportingOverflow(written)
        return overflow ? .max : age
    }
}
