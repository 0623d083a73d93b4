public import CordwoodLog
import Synchronization

/// Appends records to several partitions, and offsets of consumer groups, that take effect together
/// or not at all.
///
/// One transaction at a time. Readers of ``Isolation/committed`` see its records once it is
/// committed; ``commit()`` returns when that is so in every partition, durably. A crash before the
/// decision is durable aborts it, one after it does not.
///
/// A transactional id has one holder: making another producer of the same id fences this one, whose
/// calls then throw ``DatabaseError/Code/producerFenced``. After an append that failed the
/// transaction can only be aborted; the abort takes the next ``epoch``, since how much of the
/// append the partition has is not known, and the producer goes on.
public actor TransactionalProducer {
    /// Where the producer stands, seen from here.
    private enum Stage {
        case idle
        case open
        /// An append failed: what was written is not known.
        case broken
        /// The decision was asked for, and may have been taken. `renews`: a new epoch comes with it.
        case ending(TransactionMarker, renews: Bool)
    }

    public nonisolated let transactionalID: String
    private nonisolated let identity: Mutex<ProducerIdentity>
    private let coordinator: TransactionCoordinator
    private let offsetsLog: TransactionCoordinator.ResolveTopic
    private var stage = Stage.idle
    /// The next sequence number of each partition.
    private var sequences: [TopicPartition: Int32] = [:]
    /// One call after the other: sequence numbers must reach a log in their order.
    private let turns = AsyncLock()

    init(
        _ id: String, _ identity: ProducerIdentity, coordinator: TransactionCoordinator,
        offsetsLog: @escaping TransactionCoordinator.ResolveTopic
    ) {
        transactionalID = id
        self.identity = Mutex(identity)
        self.coordinator = coordinator
        self.offsetsLog = offsetsLog
    }

    private nonisolated var current: ProducerIdentity { identity.withLock { $0 } }
    /// Kafka's producer id, which the batches carry.
    public nonisolated var producerID: Int64 { current.producerID }
    /// Kafka's producer epoch, which the batches carry. The abort of a transaction in which an
    /// append failed raises it.
    public nonisolated var epoch: Int16 { current.epoch }

    // MARK: A transaction

    /// Begins a transaction. Its time runs from its first append.
    public func begin() async throws(DatabaseError) {
        try await turns.withLock { () async throws(DatabaseError) in
            guard case .idle = stage else { throw unfit("begin()", "no open transaction") }
            stage = .open
        }
    }

    /// Appends records in the transaction, spread as ``Topic/append(_:acknowledge:)`` does.
    /// Returns when they are written; they are durable when the transaction is committed.
    @discardableResult
    public func append(
        _ records: [Record], to topic: Topic
    ) async throws(DatabaseError) -> Receipt {
        try await turns.withLock { () async throws(DatabaseError) in
            try checkOpen("append(_:to:)")
            let groups = topic.group(records)
            for group in groups {
                do throws(LogError) {
                    try topic.partitions[group.partition].log.check(group.records)
                } catch { throw DatabaseError(error, "topic \(topic.name)") }
            }
            guard !groups.isEmpty else { throw DatabaseError(.emptyBatch, "an append of nothing") }
            try InternalTopic.checkIsCallers(topic.name)
            try await add(Set(groups.map { TopicPartition(topic.name, $0.partition) }))
            var positions = [RecordPosition](
                repeating: RecordPosition(partition: 0, offset: 0), count: records.count)
            for group in groups {
                let offsets = try await write(
                    group.records, to: topic.partitions[group.partition].log,
                    TopicPartition(topic.name, group.partition))
                for (index, offset) in zip(group.indices, offsets) {
                    positions[index] = RecordPosition(partition: group.partition, offset: offset)
                }
            }
            return Receipt(positions: positions)
        }
    }

    /// Commits a group's offsets with the transaction.
    ///
    /// Throws ``DatabaseError/Code/groupInUse`` where one of the group's consumers reads one of the
    /// partitions: then commit what it handed out, by ``commitOffsets(of:)``.
    public func commitOffsets(
        _ offsets: [TopicPartition: CommittedOffset], group: ConsumerGroup
    ) async throws(DatabaseError) {
        try await turns.withLock { () async throws(DatabaseError) in
            try checkOpen("commitOffsets(_:group:)")
            try await group.coordinator.validate(offsets)
            let (commit, owned) = group.session.begin(offsets.keys)
            guard let commit else {
                throw DatabaseError(
                    .groupInUse,
                    "group \(group.name): a consumer reads \(owned.map { "\($0)" } ?? "")")
            }
            try await write(offsets, group, commit: commit)
        }
    }

    /// Commits, with the transaction, what a consumer has handed out: records that are read,
    /// processed and answered by records of this transaction are so exactly once.
    ///
    /// End the transaction before asking the consumer for more: when members of the group change
    /// meanwhile, `next()` waits for that end, as do the consumers that take its partitions over.
    ///
    /// Throws ``DatabaseError/Code/partitionRevoked`` when some of it is another consumer's now;
    /// abort then. After an abort the consumer stands behind the records that it handed out: seek
    /// to the committed offsets, or make a new one.
    public func commitOffsets(of consumer: Consumer) async throws(DatabaseError) {
        try await turns.withLock { () async throws(DatabaseError) in
            try checkOpen("commitOffsets(of:)")
            let (offsets, commit) = try consumer.beginTransactionalCommit()
            try await write(offsets, consumer.group, commit: commit)
        }
    }

    /// Commits the transaction. After an error other than ``DatabaseError/Code/producerFenced``
    /// and ``DatabaseError/Code/invalidTransactionState`` it may be committed or not; calling again
    /// tells, and so does opening the database again. One that is decided is carried out in the
    /// background; ``Database/transactionFailures`` has what is in its way.
    public func commit() async throws(DatabaseError) { try await end(.commit) }

    /// Aborts the transaction: readers of committed records never see any of it.
    public func abort() async throws(DatabaseError) { try await end(.abort) }

    /// Runs `body` in a transaction, which is committed when it returns and aborted when it throws.
    public func transaction<Value: Sendable>(
        _ body: (TransactionalProducer) async throws -> Value
    ) async throws -> Value {
        try await begin()
        let value: Value
        do { value = try await body(self) } catch {
            // What failed first says more than what an abort after it may say.
            try? await abort()
            throw error
        }
        try await commit()
        return value
    }

    private func end(_ marker: TransactionMarker) async throws(DatabaseError) {
        try await turns.withLock { () async throws(DatabaseError) in
            let renews: Bool
            switch (stage, marker) {
            case (.open, _): renews = false
            // How far the partitions have the sequences is not known.
            case (.broken, .abort): renews = true
            case (.ending(let asked, let before), _) where asked == marker: renews = before
            case (.broken, .commit):
                throw unfit("commit()", "a transaction whose appends all succeeded")
            default: throw unfit("\(marker)()", "an open transaction")
            }
            let before = stage
            stage = .ending(marker, renews: renews)
            do throws(DatabaseError) {
                if renews {
                    let next = try await coordinator.abortAndRenew(transactionalID, current)
                    identity.withLock { $0 = next }
                    sequences = [:]
                } else {
                    try await coordinator.end(transactionalID, current, marker)
                }
            } catch {
                // Not decided yet: it may still end either way.
                if await coordinator.isOpen(transactionalID) { stage = before }
                throw error
            }
            stage = .idle
        }
    }

    // MARK: Steps

    private func checkOpen(_ call: String) throws(DatabaseError) {
        guard case .open = stage else { throw unfit(call, "an open transaction") }
    }

    private func unfit(_ call: String, _ expected: String) -> DatabaseError {
        DatabaseError(
            .invalidTransactionState,
            "\(call) of producer \(String(reflecting: transactionalID)): expected \(expected), "
                + "found it \(stage)")
    }

    private func add(_ partitions: Set<TopicPartition>) async throws(DatabaseError) {
        try await coordinator.add(partitions, to: transactionalID, current)
    }

    /// Appends a partition's records, batch by batch in sequence.
    private func write(
        _ records: [Record], to log: any Log, _ place: TopicPartition
    ) async throws(DatabaseError) -> [Int64] {
        var offsets: [Int64] = []
        let current = current
        do {
            var rest = records[...]
            for count in try log.batches(records) {
                let sequence = sequences[place] ?? 0
                offsets += try await log.append(
                    Array(rest.prefix(count)),
                    producer: ProducerSequence(
                        producerID: current.producerID, epoch: current.epoch,
                        baseSequence: sequence,
                        isTransactional: true), acknowledge: .written)
                sequences[place] = ProducerSequence.advance(sequence, by: count)
                rest = rest.dropFirst(count)
            }
        } catch {
            stage = .broken
            throw DatabaseError(error, "\(place); abort the transaction")
        }
        return offsets
    }

    private func write(
        _ offsets: [TopicPartition: CommittedOffset], _ group: ConsumerGroup, commit: UInt64
    ) async throws(DatabaseError) {
        var isHeld = false
        do throws(DatabaseError) {
            let records = try await group.coordinator.records(
                group.name, offsets.mapValues { $0 })
            let topic = try await offsetsLog(InternalTopic.consumerOffsets.rawValue)
            let place = TopicPartition(topic.name, 0)
            if records.isEmpty { return group.session.end(commit) }
            try await add([place])
            await group.coordinator.beginTransactional()
            isHeld = true
            let written = try await write(records.map { $0.encode() }, to: topic[0].log, place)
            try await coordinator.addOffsets(
                Array(zip(records, written)).map { (record: $0.0, logOffset: $0.1) },
                group.session, commit: commit, to: transactionalID, current)
        } catch {
            group.session.end(commit)
            if isHeld { await group.coordinator.endTransactional() }
            throw error
        }
    }
}
