/// What is known of a segment before what lies beside it is looked at: from the manifest, and from
/// the segment's own first page.
struct SegmentFacts {
    var header: SegmentHeader
    /// Nil for the active segment.
    var seal: SegmentInfo?
    /// The newest sound one.
    var watermark: Watermark?
    /// Whether the segment is as the log sealed it, or compaction wrote it: its own seal says what
    /// the manifest says. Then what belongs beside it was durable before the manifest named the
    /// segment. One that was truncated since, or that recovery sealed, may lack it: whoever reads
    /// the segment makes it anew.
    var isAsSealed = false

    var id: SegmentID { header.id }
    var end: SegmentCursor? { seal?.end }

    /// Entries of an index beyond this place may be of an earlier life of the segment.
    var trusted: SegmentCursor {
        end ?? watermark?.durable
            ?? .start(logID: header.logID, baseOffset: header.baseOffset)
    }
}

/// What lies beside a segment, held against its batches while a walk comes by.
///
/// Damage in the segment ends that: what lies beside it may have been made before the damage, or
/// after it and without what was lost.
struct SegmentViews {
    var times: TimeIndexCheck
    /// Nil where the segment has no transaction index, or one that is told of already.
    var transactions: TransactionIndexCheck?
    /// Offsets of the producer snapshots inside the segment, in order.
    var snapshots: [Int64]

    mutating func stop() {
        times.stop()
        transactions = nil
    }
}
