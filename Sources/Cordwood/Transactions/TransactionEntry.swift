/// What a coordinator knows of a transactional id. Changed by who holds its turn.
final class TransactionEntry {
    var state: TransactionState?
    /// Which partitions have the marker of the transaction that is being ended.
    var told: Set<TopicPartition> = []
    /// What keeps the transaction from being ended, and where. Empty once it is.
    var failures: [TopicPartition: DatabaseError] = [:]
    /// How many rounds of upkeep passed the id over after the last failure, and how many still will.
    private var pause = 0
    private var roundsToSkip = 0
    /// Offsets of consumer groups that the transaction commits, and where in the log they are.
    var offsets: [(record: OffsetRecord, logOffset: Int64)] = []
    /// Commits of groups that end with the transaction.
    var sessions: [(session: GroupSession, commit: UInt64)] = []
    let turns = AsyncLock()

    /// No more rounds than this are passed over between two attempts.
    private static let maximumPause = 32

    /// Whether a round of upkeep tries again what failed. Opening a damaged topic every second would
    /// be a load, so the rounds between two attempts double.
    func isDue() -> Bool {
        guard !failures.isEmpty, roundsToSkip > 0 else { return true }
        roundsToSkip -= 1
        return false
    }

    /// Notes that a round has tried.
    func backOff() {
        pause = failures.isEmpty ? 0 : min(max(1, pause * 2), Self.maximumPause)
        roundsToSkip = pause
    }
}

/// A transaction that could not be ended yet, and what is in its way.
public struct TransactionFailure: Sendable {
    /// Nil where the transactions could not be read at all; then none goes on.
    public let transactionalID: String?
    /// Where the end could not be written. The database's own topic `__transaction_state` where it
    /// could not even be decided.
    public let place: TopicPartition
    public let error: DatabaseError
}
