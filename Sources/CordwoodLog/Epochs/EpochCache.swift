/// Which leader wrote which offsets: the start offset of each leader epoch, as Kafka's
/// `leader-epoch-checkpoint` keeps it.
///
/// A replica compares it with its leader's to find the offset from which they differ, instead of
/// trusting high watermarks (Kafka's KIP-101). A pure value; the manifest keeps its entries. A log
/// that never heard of an epoch is in epoch 0 from its start.
public struct EpochCache: Sendable, Hashable {
    public struct Entry: Sendable, Hashable {
        public var epoch: Int32
        /// The first offset that was written in this epoch.
        public var startOffset: Int64
    }

    /// By epoch, and so by start offset.
    public private(set) var entries: [Entry] = []

    public init() {}

    /// The epoch that a batch appended now gets.
    public var latest: Int32 { entries.last?.epoch ?? 0 }

    /// The epoch in which an offset was written. O(log n).
    public func epoch(at offset: Int64) -> Int32 {
        let index = entries.partitionIndex { $0.startOffset > offset }
        return index == 0 ? 0 : entries[index - 1].epoch
    }

    /// Begins an epoch at the log's end; false for one that is not newer than the latest.
    ///
    /// An epoch in which nothing was written is replaced by the next.
    mutating func start(_ epoch: Int32, at offset: Int64) -> Bool {
        guard epoch >= 0, epoch > latest || (entries.isEmpty && epoch == 0),
            offset >= entries.last?.startOffset ?? 0
        else { return false }
        if let last = entries.last, last.startOffset == offset { entries.removeLast() }
        entries.append(Entry(epoch: epoch, startOffset: offset))
        return true
    }

    /// Where an epoch ends: the answer to Kafka's `OffsetForLeaderEpoch`.
    ///
    /// Gives the largest epoch that is not beyond the one asked for, and the offset after its last
    /// record; nil for an epoch that this log has not seen. Where the log begins behind that epoch's
    /// last record, nothing is known of it: the epoch asked for, and the log's start.
    public func end(
        of epoch: Int32, logStart: Int64, logEnd: Int64
    ) -> (epoch: Int32, endOffset: Int64)? {
        guard epoch >= 0, epoch <= latest else { return nil }
        if epoch == latest { return (epoch, logEnd) }
        let next = entries.partitionIndex { $0.epoch > epoch }
        // Not the latest, so there is a next one.
        let end = entries[next].startOffset
        if end <= logStart { return (epoch, logStart) }
        return (next == 0 ? 0 : entries[next - 1].epoch, end)
    }

    /// Forgets what was written at `offset` and later.
    mutating func truncate(to offset: Int64) {
        entries.removeLast(entries.count - entries.partitionIndex { $0.startOffset >= offset })
    }

    /// Forgets epochs that ended at `offset` or before.
    mutating func forget(before offset: Int64) {
        let behind = entries.partitionIndex { $0.startOffset > offset }
        if behind > 1 { entries.removeFirst(behind - 1) }
    }
}
