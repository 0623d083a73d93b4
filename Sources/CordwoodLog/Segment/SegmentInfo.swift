/// What the manifest knows of a sealed segment, so that nothing of it needs to be opened before it
/// is read.
struct SegmentInfo: Equatable, Sendable {
    var id: SegmentID
    /// Where it ends: bytes, offsets and the chained checksum of all batches.
    var end: SegmentCursor
    var times = SegmentTimes()
    /// Whether compaction wrote it: its offsets may have holes.
    var isCompacted = false
    /// Damaged ranges that recovery found.
    var gaps: [Gap] = []

    var offsets: Range<Int64> { id.baseOffset..<max(id.baseOffset, end.nextOffset) }
}

/// The times of a segment's records, in milliseconds since 1970-01-01 UTC.
struct SegmentTimes: Equatable, Sendable {
    /// The largest timestamp of a record, which producers choose; -1 where it is not known.
    var maxTimestamp: Int64 = -1
    /// The last offset of the first batch that holds it; -1 where it is not known.
    var maxTimestampOffset: Int64 = -1
    /// The log's clock at the last append; 0 where it is not known.
    var lastAppendTime: Int64 = 0

    /// Takes in a batch.
    mutating func absorb(maxTimestamp timestamp: Int64, lastOffset: Int64) {
        guard timestamp > maxTimestamp else { return }
        maxTimestamp = timestamp
        maxTimestampOffset = lastOffset
    }
}
