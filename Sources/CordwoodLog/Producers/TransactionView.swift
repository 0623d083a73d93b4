/// What readers of committed records need to know of the active segment and of what is open.
/// Published together with the batches that it follows from.
struct TransactionView: Sendable {
    /// No batch before this offset has a producer; nil when none in the log has.
    var producersSince: Int64?
    /// The first offset of the transactions that are open.
    var firstUndecided: Int64?
    /// The aborted transactions whose markers lie in the active segment.
    var aborted: [AbortedTransaction] = []
    /// Transactions whose markers may lie behind the high watermark, in the markers' order: until
    /// replicas have the marker too, nothing is decided.
    private var unreplicated: [AbortedTransaction] = []

    init() {}

    init(_ snapshot: ProducerSnapshot, producersSince: Int64?) {
        self.producersSince = producersSince
        firstUndecided = snapshot.states.firstUndecided
        aborted = snapshot.aborted
    }

    /// Goes back to what was known at an offset. What replicas have not seen decided before it is
    /// still not decided for them.
    mutating func truncate(
        to offset: Int64, _ snapshot: ProducerSnapshot, producersSince: Int64?
    ) {
        let undecided = unreplicated.filter { $0.lastOffset < offset }
        self = TransactionView(snapshot, producersSince: producersSince)
        unreplicated = undecided
    }

    /// The first offset that is not decided, as replicas up to `highWatermark` see it; nil when all
    /// is. O(transactions that are not replicated).
    func firstUndecided(highWatermark: Int64) -> Int64? {
        var first = firstUndecided
        for transaction in unreplicated where transaction.lastOffset >= highWatermark {
            first = min(first ?? .max, transaction.firstOffset)
        }
        return first
    }

    /// Takes in what a group of batches has changed.
    mutating func apply(_ change: TransactionChange, highWatermark: Int64) {
        firstUndecided = change.firstUndecided
        for completed in change.completed {
            unreplicated.append(completed.transaction)
            if completed.marker == .abort { aborted.append(completed.transaction) }
        }
        unreplicated.removeAll { $0.lastOffset < highWatermark }
    }
}

/// What a group of batches has changed for readers of committed records.
struct TransactionChange: Sendable {
    var firstUndecided: Int64?
    var completed: [ProducerStates.Completed] = []
}
