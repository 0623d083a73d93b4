import CordwoodLog
import CordwoodStorage

/// Who may go on with a transactional id: Kafka's producer id and epoch, which its batches carry.
struct ProducerIdentity: Equatable, Sendable {
    var producerID: Int64
    var epoch: Int16
}

/// Decides how transactions over several partitions end, and sees to it that all of them learn it.
///
/// Every step is a record of `__transaction_state`, durable before it is acted upon, so a crash at
/// any step ends in all or nothing: opening replays the topic, aborts what was open, and writes the
/// markers of what was decided again. A partition that cannot be told holds up its transaction alone:
/// the others go on, and ``lookAfter()`` tries again.
actor TransactionCoordinator {
    typealias ResolveTopic = @Sendable (String) async throws(DatabaseError) -> Topic
    typealias ResolveGroups = @Sendable () async throws(DatabaseError) -> GroupCoordinator

    /// How many producer ids are taken at a time.
    private static let producerIDBlock: Int64 = 1000
    /// Where the coordinator's own records go.
    static let statePlace = TopicPartition(InternalTopic.transactionState.rawValue, 0)
    /// Where the offsets of groups go.
    static let offsetsPlace = TopicPartition(InternalTopic.consumerOffsets.rawValue, 0)

    typealias Entry = TransactionEntry

    private let log: any Log
    nonisolated let clock: any WallClock
    let resolveTopic: ResolveTopic
    let resolveGroups: ResolveGroups
    private(set) var entries: [String: Entry] = [:]
    /// By name, so that a simulated run repeats.
    var inOrder: [(id: String, entry: Entry)] {
        entries.sorted { $0.key < $1.key }.map { (id: $0.key, entry: $0.value) }
    }
    private var freeIDs: Range<Int64> = 0..<0
    private var nextBlock: Int64 = 0
    private let blocks = AsyncLock()
    /// How long an id is kept that nobody uses.
    let idExpirationMilliseconds: Int

    /// Replays the topic and ends what was left open, as far as that goes: what does not is in
    /// ``failures``. Throws where the topic itself cannot be read.
    static func open(
        _ log: any Log, clock: any WallClock, idExpirationMilliseconds: Int,
        resolveTopic: @escaping ResolveTopic, resolveGroups: @escaping ResolveGroups
    ) async throws(DatabaseError) -> TransactionCoordinator {
        let coordinator = TransactionCoordinator(
            log, clock: clock, idExpirationMilliseconds: idExpirationMilliseconds,
            resolveTopic: resolveTopic, resolveGroups: resolveGroups)
        try await coordinator.replay()
        return coordinator
    }

    private init(
        _ log: any Log, clock: any WallClock, idExpirationMilliseconds: Int,
        resolveTopic: @escaping ResolveTopic, resolveGroups: @escaping ResolveGroups
    ) {
        self.idExpirationMilliseconds = idExpirationMilliseconds
        self.log = log
        self.clock = clock
        self.resolveTopic = resolveTopic
        self.resolveGroups = resolveGroups
    }

    nonisolated var isClosed: Bool { log.isClosed }

    private func replay() async throws(DatabaseError) {
        var records = RecordSequence(log, from: log.startOffset, following: false)
            .makeAsyncIterator()
        while true {
            let next: StoredRecord?
            do { next = try await records.next() } catch { throw Self.failure(error) }
            guard let record = next else { break }
            switch try TransactionRecord(record) {
            case .producerIDs(let next): nextBlock = max(nextBlock, next)
            case .state(let id, let state): entry(id).state = state
            case .forgotten(let id): entries[id] = nil
            }
        }
        // Nobody is left who could go on with what is open.
        for (id, entry) in inOrder { await settle(id, entry) }
    }

    /// Does something with an id, one call after the other.
    private func withTurn<Value>(
        of id: String, _ body: (Entry) async throws(DatabaseError) -> Value
    ) async throws(DatabaseError) -> Value {
        while true {
            let entry = entry(id)
            let value = try await entry.turns.withLock {
                () async throws(DatabaseError) -> Value? in
                // One that was forgotten while this call waited is another by now.
                entries[id] === entry ? try await body(entry) : nil
            }
            if let value { return value }
        }
    }

    private func entry(_ id: String) -> Entry {
        if let entry = entries[id] { return entry }
        let entry = Entry()
        entries[id] = entry
        return entry
    }

    // MARK: Producers

    /// Gives a transactional id to a new holder: ends what the earlier one left open, and raises
    /// the epoch, so that it is turned away.
    func initialise(
        _ id: String, timeoutMilliseconds: Int32
    ) async throws(DatabaseError) -> ProducerIdentity {
        try await withTurn(of: id) { entry throws(DatabaseError) in
            if entry.state?.status == .ongoing {
                try await end(id, entry, .abort, fencing: true)
            } else {
                try await finish(id, entry)
            }
            return try await renew(id, entry, timeoutMilliseconds)
        }
    }

    /// Aborts the holder's transaction and gives it the next epoch, in which the sequence of each
    /// partition begins at 0: for a holder that does not know what its partitions have of the last
    /// one (Kafka: KIP-360). After an error, calling again goes on with it.
    func abortAndRenew(
        _ id: String, _ holder: ProducerIdentity
    ) async throws(DatabaseError) -> ProducerIdentity {
        try await withTurn(of: id) { entry throws(DatabaseError) in
            let state = try await checked(id, entry, holder)
            try await end(id, entry, .abort, fencing: false)
            return try await renew(id, entry, state.timeoutMilliseconds)
        }
    }

    /// Raises the epoch of an id that has no transaction.
    private func renew(
        _ id: String, _ entry: Entry, _ timeoutMilliseconds: Int32
    ) async throws(DatabaseError) -> ProducerIdentity {
        let next: ProducerIdentity
        // The last epoch is kept for fencing.
        if let state = entry.state, state.epoch < Int16.max - 1 {
            next = ProducerIdentity(producerID: state.producerID, epoch: state.epoch + 1)
        } else {
            next = ProducerIdentity(producerID: try await newProducerID(), epoch: 0)
        }
        try await write(
            id, entry,
            TransactionState(
                producerID: next.producerID, epoch: next.epoch,
                timeoutMilliseconds: timeoutMilliseconds, updatedAt: clock.millisecondsNow()))
        return next
    }

    /// An id that no producer of this database has had. Takes a block of them durably, now and then.
    func newProducerID() async throws(DatabaseError) -> Int64 {
        try await blocks.withLock { () async throws(DatabaseError) in
            if freeIDs.isEmpty {
                let (end, overflow) = nextBlock.addingReportingOverflow(Self.producerIDBlock)
                if overflow {
                    throw DatabaseError(.invalidTransactionState, "there are no producer ids left")
                }
                try await append(.producerIDs(next: end), .durable)
                freeIDs = nextBlock..<end
                nextBlock = end
            }
            return freeIDs.removeFirst()
        }
    }

    // MARK: Transactions

    /// Makes partitions part of the holder's transaction, and opens it with the first ones. Records
    /// may be appended to them when this returns.
    func add(
        _ partitions: Set<TopicPartition>, to id: String, _ holder: ProducerIdentity
    ) async throws(DatabaseError) {
        try await withTurn(of: id) { entry throws(DatabaseError) in
            let state = try await checked(id, entry, holder)
            if let next = try state.adding(partitions, now: clock.millisecondsNow()) {
                try await write(id, entry, next)
            }
        }
    }

    /// Offsets that the transaction commits for a group, and where its records of them lie. The
    /// group's commit is ended with the transaction.
    ///
    /// Throws where the transaction is over, or has not got the topic of the offsets: then the
    /// group's commit is the caller's to end.
    func addOffsets(
        _ offsets: [(record: OffsetRecord, logOffset: Int64)], _ session: GroupSession,
        commit: UInt64, to id: String, _ holder: ProducerIdentity
    ) async throws(DatabaseError) {
        try await withTurn(of: id) { entry throws(DatabaseError) in
            let state = try await checked(id, entry, holder)
            guard state.status == .ongoing, state.partitions.contains(Self.offsetsPlace) else {
                throw DatabaseError(
                    .invalidTransactionState,
                    "offsets for transaction \(String(reflecting: id)): expected an open one with "
                        + "\(Self.offsetsPlace), found it \(state.status)")
            }
            entry.offsets += offsets
            entry.sessions.append((session, commit))
        }
    }

    /// Ends the holder's transaction. When this returns, it is decided for good, and every
    /// partition's readers see the same.
    func end(
        _ id: String, _ holder: ProducerIdentity, _ marker: TransactionMarker
    ) async throws(DatabaseError) {
        try await withTurn(of: id) { entry throws(DatabaseError) in
            _ = try await checked(id, entry, holder)
            try await end(id, entry, marker, fencing: false)
        }
    }

    /// Whether the id's transaction is open: how it ends is not decided.
    func isOpen(_ id: String) -> Bool { entries[id]?.state?.status == .ongoing }

    /// The state, when it is the caller's to change.
    private func checked(
        _ id: String, _ entry: Entry, _ holder: ProducerIdentity
    ) async throws(DatabaseError) -> TransactionState {
        if entry.state?.isExpired(now: clock.millisecondsNow()) ?? false {
            try await end(id, entry, .abort, fencing: true)
        }
        guard let state = entry.state, state.producerID == holder.producerID,
            state.epoch == holder.epoch
        else {
            throw DatabaseError(
                .producerFenced,
                "producer \(holder.producerID), epoch \(holder.epoch) of "
                    + "\(String(reflecting: id)): another has taken its place, its transaction took too long and was aborted, or the id was "
                    + "not used for so long that it expired")
        }
        return state
    }

    // MARK: The log

    func write(
        _ id: String, _ entry: Entry, _ state: TransactionState
    ) async throws(DatabaseError) {
        try await append(.state(id: id, state), .durable)
        entry.state = state
        // What could not be written before is of no more concern.
        entry.failures[Self.statePlace] = nil
    }

    /// Forgets an id for good. The caller holds its turn.
    func forget(_ id: String) async throws(DatabaseError) {
        // Not synced: after a crash that takes it the id is forgotten again.
        if entries[id]?.state != nil { try await append(.forgotten(id: id), .written) }
        entries[id] = nil
    }

    func append(
        _ record: TransactionRecord, _ acknowledge: Acknowledgement
    ) async throws(DatabaseError) {
        do { _ = try await log.append([record.encode()], acknowledge: acknowledge) } catch {
            throw Self.failure(error)
        }
    }

    private static func failure(_ error: LogError) -> DatabaseError {
        DatabaseError(error, InternalTopic.transactionState.rawValue)
    }
}
