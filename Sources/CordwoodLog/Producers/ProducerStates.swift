/// What a partition's log remembers of its producers, after all batches before some offset: the
/// rules of idempotent and transactional appends, without any I/O.
///
/// The rules are Kafka's:
/// - a batch continues its producer's sequence, or is one of the last five sent again, or is
///   refused with ``LogError/Code/outOfOrderSequence``: so also one that was sent again after more
///   than five others;
/// - a lower epoch is refused with ``LogError/Code/producerFenced``; a higher one begins at 0;
/// - a producer that the log does not know may begin with any number: its state has expired, or it
///   is new;
/// - while a transaction is open, its producer may append to it and end it, nothing else;
/// - a marker fences lower epochs of its producer, and markers of lower coordinator epochs.
///
/// ``check(_:)`` decides about a batch; ``absorb(_:at:)`` takes in one that the log holds, and is
/// the same for a live append and for a replay, so that both come to equal states. One thing is not
/// in the log: that a state expired. A replay finds such a producer again, until the next
/// ``expire(now:after:)`` or until a batch shows it that was taken only because of that; it then
/// recognises more, never less.
package struct ProducerStates: Sendable, Hashable {
    /// More producers at a time are refused: it bounds memory and snapshots.
    package static let maximumProducers = 1 << 18

    package internal(set) var producers: [Int64: ProducerState] = [:]
    /// The first offsets of the open transactions, in order.
    private(set) var undecided: [Int64] = []

    package init() {}

    package enum Decision: Sendable, Hashable {
        case append
        /// The log holds the batch already, at these offsets.
        case duplicate(Range<Int64>)
    }

    /// A transaction that a marker has ended.
    struct Completed: Hashable {
        var transaction: AbortedTransaction
        var marker: TransactionMarker
    }

    /// The first offset whose transaction is not decided; nil when all are.
    package var firstUndecided: Int64? { undecided.first }

    /// The bytes of memory are bounded by this, at about 300 each.
    package var count: Int { producers.count }
}

// MARK: - Deciding

extension ProducerStates {
    /// Decides about a batch that somebody wants to append. O(1).
    ///
    /// Throws ``LogError/Code/outOfOrderSequence``, ``LogError/Code/producerFenced``,
    /// ``LogError/Code/coordinatorFenced``, ``LogError/Code/invalidTransactionState``,
    /// ``LogError/Code/invalidProducer`` or ``LogError/Code/tooManyProducers``.
    func check(_ batch: ProducerBatch) throws(LogError) -> Decision {
        guard batch.producerID >= 0, batch.epoch >= 0, batch.span > 0 else {
            throw LogError(
                .invalidProducer,
                "expected a producer id and an epoch of 0 or more, found id \(batch.producerID), "
                    + "epoch \(batch.epoch)")
        }
        guard let producer = producers[batch.producerID] else {
            // A marker is never turned away for want of room: its transaction waits for it.
            guard case .records(let base, _) = batch.content else { return .append }
            try checkNumber(base, batch)
            guard producers.count < Self.maximumProducers else {
                throw LogError(
                    .tooManyProducers,
                    "expected at most \(Self.maximumProducers) producers at a time; those that are "
                        + "known can go on, and new ones when some have expired")
            }
            return .append
        }
        switch batch.content {
        case .records(let base, let isTransactional):
            try checkNumber(base, batch)
            if let known = duplicate(of: batch, base, in: producer) { return .duplicate(known) }
            try checkEpoch(batch, producer)
            let expected = batch.epoch == producer.epoch ? producer.nextSequence : 0
            guard base == expected else {
                throw LogError(
                    .outOfOrderSequence,
                    "producer \(batch.producerID), epoch \(batch.epoch): expected sequence number "
                        + "\(expected), or one of the last \(ProducerState.rememberedBatches) "
                        + "batches again, found \(base)")
            }
            if let start = producer.transactionStart, !isTransactional {
                throw LogError(
                    .invalidTransactionState,
                    "producer \(batch.producerID): expected records of the transaction that began "
                        + "at offset \(start), found records outside of any")
            }
        case .marker(let control):
            try checkEpoch(batch, producer)
            let found = control?.coordinatorEpoch ?? -1
            guard found >= producer.coordinatorEpoch else {
                throw LogError(
                    .coordinatorFenced,
                    "producer \(batch.producerID): expected a marker of coordinator epoch "
                        + "\(producer.coordinatorEpoch) or later, found \(found)")
            }
        }
        return .append
    }

    private func checkNumber(_ base: Int32, _ batch: ProducerBatch) throws(LogError) {
        guard base >= 0 else {
            throw LogError(
                .invalidProducer,
                "producer \(batch.producerID): expected a sequence number of 0 or more, "
                    + "found \(base)")
        }
    }

    private func checkEpoch(
        _ batch: ProducerBatch, _ producer: ProducerState
    ) throws(LogError) {
        guard batch.epoch >= producer.epoch else {
            throw LogError(
                .producerFenced,
                "producer \(batch.producerID): expected epoch \(producer.epoch) or later, "
                    + "found \(batch.epoch)")
        }
    }

    private func duplicate(
        of batch: ProducerBatch, _ base: Int32, in producer: ProducerState
    ) -> Range<Int64>? {
        guard batch.epoch == producer.epoch else { return nil }
        let last = batch.lastSequence(from: base)
        let known = producer.batches.first { $0.firstSequence == base && $0.lastSequence == last }
        return known.map { $0.firstOffset..<$0.lastOffset + 1 }
    }
}

// MARK: - Changing

extension ProducerStates {
    /// Takes in a batch that the log holds at `baseOffset`, which must be behind all before it.
    /// Returns the transaction that it ended. Never fails: what only a damaged log holds changes
    /// nothing. O(1), and O(log n) for a marker among n open transactions.
    @discardableResult
    mutating func absorb(_ batch: ProducerBatch, at baseOffset: Int64) -> Completed? {
        guard batch.producerID >= 0, batch.epoch >= 0, batch.span > 0 else { return nil }
        let lastOffset = baseOffset + Int64(batch.span - 1)
        switch batch.content {
        case .records(let base, let isTransactional):
            guard base >= 0, followsEpoch(of: batch) else { return nil }
            let entry = ProducerState.Batch(
                firstSequence: base, lastSequence: batch.lastSequence(from: base),
                firstOffset: baseOffset, lastOffset: lastOffset, maxTimestamp: batch.maxTimestamp)
            let opens = Self.append(
                entry, isTransactional: isTransactional, epoch: batch.epoch,
                to: &producers[batch.producerID, default: ProducerState(epoch: batch.epoch)])
            if opens { undecided.append(baseOffset) }
            return nil
        case .marker(let control):
            // A coordinator's epoch that is lower than the last one is no reason: the log, which
            // had forgotten the last one, took the marker.
            guard let control, control.coordinatorEpoch >= -1, followsEpoch(of: batch) else {
                return nil
            }
            // Where there is no room a producer without a transaction is forgotten at once.
            guard producers[batch.producerID] != nil || producers.count < Self.maximumProducers
            else { return nil }
            let start = Self.end(
                &producers[batch.producerID, default: ProducerState(epoch: batch.epoch)],
                batch, control)
            guard let start else { return nil }
            removeUndecided(start)
            return Completed(
                transaction: AbortedTransaction(
                    producerID: batch.producerID, firstOffset: start, lastOffset: lastOffset,
                    lastStableOffset: firstUndecided ?? lastOffset + 1), marker: control.marker)
        }
    }

    /// Forgets a producer that the log had forgotten when it took this batch, of an epoch lower than
    /// the last one: ``check(_:)`` would have refused it otherwise. False where the producer has an
    /// open transaction: such a one is never forgotten, and only a damaged log holds the batch.
    private mutating func followsEpoch(of batch: ProducerBatch) -> Bool {
        guard let known = producers[batch.producerID], batch.epoch < known.epoch else {
            return true
        }
        guard known.transactionStart == nil else { return false }
        producers[batch.producerID] = nil
        return true
    }

    /// O(log n) to find it; what moves up is 8 bytes a transaction.
    private mutating func removeUndecided(_ start: Int64) {
        let place = undecided.partitionIndex { $0 >= start }
        if place < undecided.count, undecided[place] == start { undecided.remove(at: place) }
    }

    /// Returns whether a transaction begins.
    private static func append(
        _ entry: ProducerState.Batch, isTransactional: Bool, epoch: Int16,
        to producer: inout ProducerState
    ) -> Bool {
        producer.raise(to: epoch)
        producer.append(entry)
        guard isTransactional, producer.transactionStart == nil else { return false }
        producer.transactionStart = entry.firstOffset
        return true
    }

    /// Returns where the transaction began that ends.
    private static func end(
        _ producer: inout ProducerState, _ batch: ProducerBatch, _ control: ControlRecord
    ) -> Int64? {
        producer.raise(to: batch.epoch)
        producer.coordinatorEpoch = control.coordinatorEpoch
        producer.lastActivity = batch.maxTimestamp
        defer { producer.transactionStart = nil }
        return producer.transactionStart
    }

    /// Whether a producer that was last heard of so long ago is forgotten.
    static func isExpired(_ producer: ProducerState, now: Int64, after idle: Int) -> Bool {
        guard producer.transactionStart == nil else { return false }
        let (age, overflow) = now.subtractingReportingOverflow(producer.lastActivity)
        // The difference overflows only for times that no clock shows.
        return overflow ? producer.lastActivity < now : age >= Int64(idle)
    }

    /// Forgets producers that were last heard of `idle` milliseconds ago or longer, but none with
    /// an open transaction. O(producers).
    mutating func expire(now: Int64, after idle: Int) {
        producers = producers.filter { !Self.isExpired($0.value, now: now, after: idle) }
    }

    /// Forgets the producers that were idle for longest, but none with an open transaction, until
    /// there are no more than a log remembers: a replay finds those again that had expired.
    /// O(n log n), and O(1) where there are not more.
    mutating func bound(to maximum: Int = maximumProducers) {
        guard count > maximum else { return }
        let idle = producers.filter { $0.value.transactionStart == nil }
            .sorted { ($0.value.lastActivity, $0.key) < ($1.value.lastActivity, $1.key) }
        for (id, _) in idle.prefix(count - maximum) { producers[id] = nil }
    }

    /// Takes over which of the open transactions are open still, and since when, from states that
    /// have seen all that is left of them. O(n log n).
    mutating func review(by other: ProducerStates) {
        for (id, producer) in producers where producer.transactionStart != nil {
            producers[id]?.transactionStart = other.producers[id]?.transactionStart
        }
        undecided = producers.values.compactMap(\.transactionStart).sorted()
    }

    /// Puts in a producer that a snapshot holds; false when one of the same id, or an open
    /// transaction at the same offset, is there already. The caller sorts the transactions at the
    /// end.
    mutating func restore(_ id: Int64, _ producer: ProducerState) -> Bool {
        guard producers.updateValue(producer, forKey: id) == nil else { return false }
        if let start = producer.transactionStart { undecided.append(start) }
        return true
    }

    /// Sorts what ``restore(_:_:)`` put in; false when two transactions claim one offset.
    mutating func finishRestoring() -> Bool {
        undecided.sort()
        return zip(undecided, undecided.dropFirst()).allSatisfy { $0 < $1 }
    }
}
