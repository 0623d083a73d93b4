import CordwoodStorage

/// What compaction must know of a producer that may still append: the last batch that tells its
/// state is kept, without records where none survives.
struct ProducerLastBatch: Equatable, Sendable {
    /// The last offset of its last batch of records; nil when its last batch was a marker.
    var lastDataOffset: Int64?
    var producerEpoch: Int16
}

/// First half of a pass: notes the last offset of each key, batch by batch, from the first offset
/// that has not been compacted. Pure.
struct CompactionMapping: Sendable {
    let map: CompactionMap
    /// Everything before this offset is in the map.
    private(set) var end: Int64
    /// Whether the map was full before everything was in.
    private(set) var isCut = false
    private var keys = BatchKeys()
    private var transactions: TransactionSurvival

    /// Notes what lies at `start` or behind it.
    init(_ map: CompactionMap, from start: Int64, aborted: [AbortedRange]) {
        self.map = map
        end = start
        transactions = TransactionSurvival(aborted: aborted)
    }

    /// Goes on behind a segment that cannot be read.
    mutating func passOver(to offset: Int64) {
        if !isCut { end = max(end, offset) }
    }

    /// Takes in the next batch; false when the map is full and the pass must do with less.
    mutating func note(_ batch: UnsafeRawBufferPointer, _ header: BatchHeader) -> Bool {
        guard !isCut else { return false }
        guard header.nextOffset > end else { return true }
        let skipped = header.isControl || transactions.isAborted(header)
        if !skipped, header.recordCount > 0, let records = BatchRecords(batch, header) {
            // What does not parse is kept whole, so it need not be known.
            records.withBytes { keys.collect($0, header, for: map) }
            for key in keys.keys where key.offset >= end {
                guard let hash = key.hash, !map.put(hash, offset: key.offset) else { continue }
                end = key.offset
                isCut = true
                return false
            }
        }
        end = header.nextOffset
        return true
    }
}

/// Second half of a pass: decides what stays of each batch, from the start of the log on, in the
/// order of the offsets. Pure; the rules are Kafka's (KIP-58, KIP-98, KIP-534).
///
/// - The latest record of a key stays, and so does everything that the map does not reach.
/// - Records without a key go: there is nothing to say which is the latest.
/// - A tombstone stays until the delete horizon that the first pass to meet it stamps into its
///   batch, so that a reader who began before it came by sees it. Then it goes: everything older of
///   its key went in the pass that stamped it.
/// - Records of aborted transactions go; a marker stays while anything of its transaction does, and
///   then until its horizon.
/// - The last batch of a producer that may still append stays, if need be without records.
struct CompactionPass: Sendable {
    private let map: CompactionMap
    private let mappedEnd: Int64
    private let now: Int64
    private let horizon: Int64
    private let producers: [Int64: ProducerLastBatch]
    private var transactions: TransactionSurvival
    private var filter = BatchFilter()
    private var keys = BatchKeys()
    /// Whether something was passed over that may hold older records of any key: then no tombstone
    /// or marker behind it may go, or what it hides would come back.
    private var hasPassedOver = false

    init(
        _ mapping: CompactionMapping, now: Int64, deleteRetentionMilliseconds: Int,
        aborted: [AbortedRange], producers: [Int64: ProducerLastBatch]
    ) {
        map = mapping.map
        mappedEnd = mapping.end
        self.now = now
        let (horizon, overflow) = now.addingReportingOverflow(Int64(deleteRetentionMilliseconds))
        self.horizon = overflow ? .max : horizon
        self.producers = producers
        transactions = TransactionSurvival(aborted: aborted)
    }

    /// Notes that a segment was left as it is, because it cannot be read whole.
    mutating func passOver() { hasPassedOver = true }

    /// What becomes of the next batch. `isLast`: it ends what is being written, and stays, if need
    /// be without records, so that the segment's offsets end where they did.
    mutating func apply(
        _ batch: UnsafeRawBufferPointer, _ header: BatchHeader, isLast: Bool
    ) -> BatchFilter.Outcome {
        var options = BatchFilter.Options()
        options.keepsEmpty = isLast || isLastOfProducer(header)
        // A reader who meets an older record of a key must find its tombstone for a whole grace, so
        // that begins only with the pass that removes all older ones.
        let removesOlder = !hasPassedOver && (header.isControl || header.nextOffset <= mappedEnd)
        options.horizon = removesOlder ? horizon : nil
        let outcome: BatchFilter.Outcome
        if header.isControl {
            let isObsolete = transactions.isObsolete(marker: header) && !hasPassedOver
            let isPast = header.deleteHorizon.map { $0 <= now } ?? false
            options.alwaysStamps = isObsolete
            // A marker has a value; the tombstone rule does not concern it.
            outcome = filter.filter(batch, header, options) { _, _ in !(isObsolete && isPast) }
        } else if transactions.isAborted(header) {
            outcome = filter.filter(batch, header, options) { _, _ in false }
        } else {
            let keepsTombstones = hasPassedOver || header.deleteHorizon.map { now < $0 } ?? true
            var number = 0
            outcome = filter.filter(batch, header, options) { bytes in
                keys.collect(bytes, header, for: map)
            } survives: { record, _ in
                let key = keys.keys[number]
                number += 1
                if key.offset >= mappedEnd { return true }
                guard let hash = key.hash else { return false }
                guard record.hasValue || keepsTombstones else { return false }
                guard let latest = map.offset(of: hash) else { return true }
                return key.offset >= latest
            }
        }
        if case .opaque = outcome { hasPassedOver = true }
        return outcome
    }

    private func isLastOfProducer(_ header: BatchHeader) -> Bool {
        guard header.producerID >= 0, let last = producers[header.producerID] else { return false }
        guard let offset = last.lastDataOffset else {
            return header.isControl && header.producerEpoch == last.producerEpoch
        }
        return header.nextOffset - 1 == offset
    }
}
