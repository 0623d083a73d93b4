import CordwoodLog

/// Where the transaction of one transactional id stands. Kafka's states and numbers.
///
/// A pure value: each function returns the state that comes next, or throws what is wrong with
/// asking. The coordinator writes it to `__transaction_state`, and only then acts upon it:
///
/// ```
/// empty -> ongoing -> prepareCommit -> completeCommit -> ongoing ...
///                  -> prepareAbort  -> completeAbort  -> ongoing ...
/// ```
///
/// A crash in `ongoing` ends in an abort; one in a `prepare` state in what was prepared.
struct TransactionState: Equatable, Sendable {
    enum Status: Int8 {
        case empty = 0
        case ongoing = 1
        case prepareCommit = 2
        case prepareAbort = 3
        case completeCommit = 4
        case completeAbort = 5
    }

    var producerID: Int64
    var epoch: Int16
    var timeoutMilliseconds: Int32
    var status = Status.empty
    /// What the transaction has written to, or may have.
    var partitions: Set<TopicPartition> = []
    var updatedAt: Int64
    /// -1 unless one is open or being ended.
    var startedAt: Int64 = -1

    /// The marker that an ended transaction's partitions get; nil where none is being ended.
    var marker: TransactionMarker? {
        switch status {
        case .prepareCommit: .commit
        case .prepareAbort: .abort
        default: nil
        }
    }

    /// Whether a transaction is open, and has been for longer than it may.
    func isExpired(now: Int64) -> Bool {
        guard status == .ongoing else { return false }
        // A clock that was set back must not keep a transaction for ever; the next update counts.
        let (age, overflow) = now.subtractingReportingOverflow(startedAt)
        return !overflow && age >= Int64(timeoutMilliseconds)
    }

    enum Idleness {
        case inUse
        /// Nothing is open, and nobody has used the id for as long as it is kept.
        case expired
        /// The last use lies further in the future than an id is kept: a clock that was wrong wrote
        /// it, and it would keep the id for as long as that was wrong by.
        case unknown
    }

    /// Whether the id is to be forgotten, `limit` milliseconds after its last use. A clock that was
    /// set back makes that later, never earlier.
    func idleness(now: Int64, limit: Int) -> Idleness {
        guard status != .ongoing, marker == nil else { return .inUse }
        let (age, overflow) = now.subtractingReportingOverflow(updatedAt)
        // The difference overflows only for times that no clock shows.
        if overflow { return updatedAt < now ? .expired : .unknown }
        if age >= Int64(limit) { return .expired }
        return age < -Int64(limit) ? .unknown : .inUse
    }

    /// Opens a transaction, or adds partitions to the open one. nil where they are in it already.
    func adding(
        _ new: Set<TopicPartition>, now: Int64
    ) throws(DatabaseError) -> TransactionState? {
        var next = self
        switch status {
        case .prepareCommit, .prepareAbort:
            throw DatabaseError(
                .invalidTransactionState, "the transaction is being ended; end it first")
        case .ongoing:
            if new.isSubset(of: partitions) { return nil }
        case .empty, .completeCommit, .completeAbort:
            next.partitions = []
            next.startedAt = now
        }
        next.status = .ongoing
        next.partitions.formUnion(new)
        next.updatedAt = now
        return next
    }

    /// Decides how the open transaction ends. nil where that was done before.
    ///
    /// With `fencing` the epoch goes up, so that whoever held the producer is turned away.
    func preparing(
        _ marker: TransactionMarker, fencing: Bool = false, now: Int64
    ) throws(DatabaseError) -> TransactionState? {
        var next = self
        switch (status, marker) {
        case (.ongoing, .commit): next.status = .prepareCommit
        case (.ongoing, .abort): next.status = .prepareAbort
        case (.prepareCommit, .commit), (.prepareAbort, .abort),
            (.completeCommit, .commit), (.completeAbort, .abort), (.empty, _):
            return nil
        default:
            throw DatabaseError(
                .invalidTransactionState,
                "a transaction in state \(status) cannot end in \(marker)")
        }
        if fencing, next.epoch < .max { next.epoch += 1 }
        next.updatedAt = now
        return next
    }

    /// After every partition has its marker. nil where nothing is being ended.
    func completing(now: Int64) -> TransactionState? {
        guard let marker else { return nil }
        var next = self
        next.status = marker == .commit ? .completeCommit : .completeAbort
        next.partitions = []
        next.startedAt = -1
        next.updatedAt = now
        return next
    }
}
