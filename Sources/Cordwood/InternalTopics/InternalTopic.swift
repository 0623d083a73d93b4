import CordwoodLog

/// The topics that a database keeps for itself: ordinary, compacted ones, made when they are first
/// needed, which callers neither see nor open.
enum InternalTopic: String, CaseIterable {
    /// What consumer groups have committed.
    case consumerOffsets = "__consumer_offsets"
    /// Where each transaction stands, and which producer ids are taken.
    case transactionState = "__transaction_state"

    /// Names that begin so are the database's.
    static let prefix = "__"

    static func isInternal(_ name: String) -> Bool { name.hasPrefix(prefix) }

    /// Throws ``DatabaseError/Code/invalidName`` for a name that is the database's own.
    static func checkIsCallers(_ name: String) throws(DatabaseError) {
        guard isInternal(name) else { return }
        throw DatabaseError(
            .invalidName,
            "topic \(String(reflecting: name)): names that begin with \"\(prefix)\" are the "
                + "database's own")
    }

    /// One partition: a commit is small, and those of all groups share its syncs.
    static var configuration: TopicConfiguration {
        var log = LogConfiguration(segmentBytes: 16 << 20, tailBytes: 1 << 20)
        log.cleanupPolicy = .compact
        return TopicConfiguration(partitions: 1, log: log)
    }
}
