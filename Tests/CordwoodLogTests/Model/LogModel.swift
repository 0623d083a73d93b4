@testable import CordwoodLog

/// A partition's log as a plain list in memory: what the real one has to agree with after every
/// operation.
struct LogModel {
    struct Batch {
        var records: [StoredRecord]
        var epoch: Int32
        /// Where it began and ended before compaction took records out.
        var baseOffset: Int64
        var nextOffset: Int64
    }

    private(set) var batches: [Batch] = []
    private(set) var startOffset: Int64 = 0
    private(set) var endOffset: Int64 = 0
    /// What a crash cannot take.
    private(set) var durableOffset: Int64 = 0
    private(set) var epoch: Int32 = 0
    private(set) var epochStarts: [(epoch: Int32, offset: Int64)] = []
    private(set) var highWatermark: Int64?
    private(set) var compactedUpTo: Int64 = 0

    /// The records that a reader sees which is not limited.
    var records: [StoredRecord] {
        batches.flatMap(\.records).filter { $0.offset >= startOffset }
    }

    mutating func append(_ records: [Record], isDurable: Bool) -> Range<Int64> {
        let first = endOffset
        batches.append(
            Batch(
                records: records.enumerated().map { index, record in
                    StoredRecord(
                        offset: first + Int64(index), timestamp: record.timestamp ?? 0,
                        key: record.key, value: record.value, headers: record.headers)
                }, epoch: epoch, baseOffset: first, nextOffset: first + Int64(records.count)))
        endOffset += Int64(records.count)
        if isDurable { durableOffset = endOffset }
        return first..<endOffset
    }

    mutating func flush() { durableOffset = endOffset }

    /// Something before `offset` may have been made durable by the way.
    mutating func flush(upTo offset: Int64) { durableOffset = max(durableOffset, offset) }

    mutating func deleteRecords(before offset: Int64) {
        guard offset > startOffset else { return }
        if offset > durableOffset { flush() }
        startOffset = offset
    }

    /// Whole batches go, so the log ends where the one begins that holds `offset`.
    mutating func truncate(to offset: Int64) {
        guard offset < endOffset else { return }
        let kept = batches.prefix { $0.nextOffset <= offset }
        batches = Array(kept)
        endOffset = max(kept.last?.nextOffset ?? 0, startOffset)
        durableOffset = endOffset
        epochStarts.removeAll { $0.offset >= endOffset }
        epoch = epochStarts.last?.epoch ?? 0
        highWatermark = highWatermark.map { min($0, endOffset) }
    }

    mutating func startEpoch(_ epoch: Int32) {
        guard epoch > self.epoch else { return }
        flush()
        if epochStarts.last?.offset == endOffset { epochStarts.removeLast() }
        epochStarts.append((epoch, endOffset))
        self.epoch = epoch
    }

    mutating func setHighWatermark(_ offset: Int64?) {
        highWatermark = offset.map { max(highWatermark ?? 0, startOffset, min($0, endOffset)) }
    }

    /// Keeps the latest record of each key among those before `end`, and all behind it.
    mutating func compact(upTo end: Int64) {
        var latest: [[UInt8]: Int64] = [:]
        for record in batches.flatMap(\.records) where record.offset < end {
            latest[record.key ?? []] = record.offset
        }
        for index in batches.indices {
            batches[index].records.removeAll {
                $0.offset < end && latest[$0.key ?? []] != $0.offset
            }
        }
        compactedUpTo = max(compactedUpTo, end)
    }

    /// What a crash left: a prefix that holds all that was durable.
    mutating func crash(leaving end: Int64) -> Bool {
        guard end >= durableOffset, end <= endOffset,
            end == endOffset || batches.contains(where: { $0.baseOffset == end })
        else { return false }
        batches.removeAll { $0.baseOffset >= end }
        endOffset = end
        reopen()
        return true
    }

    mutating func reopen() {
        durableOffset = endOffset
        highWatermark = nil
    }

    /// Where an epoch ends, by looking at every batch.
    func end(of wanted: Int32) -> (epoch: Int32, endOffset: Int64)? {
        guard wanted >= 0, wanted <= epoch else { return nil }
        if wanted == epoch { return (wanted, endOffset) }
        let below = epochStarts.last { $0.epoch <= wanted }
        let above = epochStarts.first { $0.epoch > wanted }
        // Of what was deleted nothing is known.
        guard let above, above.offset > startOffset else { return (wanted, startOffset) }
        return (below?.epoch ?? 0, above.offset)
    }
}
