import CordwoodStorage

/// When the active segment is full or old.
extension PartitionLog {
    @discardableResult
    public func rollIfAged(now: Int64) async throws(LogError) -> Bool {
        guard isAged(now: now) else { return false }
        try await roll()
        return true
    }

    /// How many more offsets fit: those of a segment are kept in 31 bits.
    var offsetsInSegment: Int {
        Int(Int32.max) - Int(active.end.nextOffset - active.header.baseOffset)
    }

    /// Room in bytes, for a group; none when the segment must be rolled: its index is full, or it is
    /// old. An empty one takes any batch.
    var roomInSegment: Int {
        let span = active.end.nextOffset - active.header.baseOffset
        if span == 0 { return SegmentHeader.maximumSegmentBytes - active.end.position }
        if isAged(now: storage.clock.millisecondsNow()) { return 0 }
        return min(active.room, roomInIndex)
    }

    /// How many bytes the segment may grow by before its index passes `segmentIndexBytes`: a batch
    /// gets an entry only `indexIntervalBytes` behind the last.
    private var roomInIndex: Int {
        let pages = configuration.segmentIndexBytes / IndexPage.byteCount
        // The last page of an index is not full.
        let capacity = pages * OffsetIndex.Entry.pageCapacity - 1
        let free = capacity - state.read { $0.activeIndex.entries.count }
        let (room, overflow) = max(0, free - 1).multipliedReportingOverflow(
            by: configuration.indexIntervalBytes)
        return overflow ? .max : room
    }

    /// Whether the first append to the segment is longer ago than a segment may stay open. Where
    /// that time is not known, after an opening, the segment's creation counts.
    private func isAged(now: Int64) -> Bool {
        guard let limit = longestOpen, active.end.nextOffset > active.header.baseOffset
        else { return false }
        let created = manifest.manifest.active?.createdAt ?? 0
        let first = active.firstAppendTime ?? (created > 0 ? created : active.times.lastAppendTime)
        guard first > 0 else { return false }
        let (age, overflow) = now.subtractingReportingOverflow(first)
        return !overflow && age >= Int64(limit)
    }

    /// `segmentMilliseconds` less the jitter; and in a log that is compacted no more than
    /// `maxCompactionLagMilliseconds`, as in Kafka, because only sealed segments are compacted.
    private var longestOpen: Int? {
        let bySetting = configuration.segmentMilliseconds.map { $0 - jitter }
        guard configuration.cleanupPolicy.contains(.compact),
            let lag = configuration.maxCompactionLagMilliseconds
        else { return bySetting }
        return min(bySetting ?? .max, lag)
    }

    /// What is taken off `segmentMilliseconds`: as good as random, but the same for a segment
    /// whenever it is asked for.
    private var jitter: Int {
        let limit = min(
            configuration.segmentJitterMilliseconds, (configuration.segmentMilliseconds ?? 1) - 1)
        guard limit > 0 else { return 0 }
        // SplitMix64's mixing step.
        var mixed = active.header.logID ^ UInt64(bitPattern: active.header.baseOffset)
        mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
        return Int((mixed ^ mixed >> 31) % UInt64(limit + 1))
    }
}
