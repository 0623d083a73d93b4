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

    /// The log of a ``SharedTopic``: its records are written by nobody else, since one that is not of
    /// its form would take the place of a key's state.
    static func shared(_ name: String) -> String { "__shared.\(name)" }

    /// What ``shared(_:)`` made it of; nil for other topics.
    static func sharedName(_ topic: String) -> String? {
        let prefix = shared("")
        return topic.hasPrefix(prefix) ? String(topic.dropFirst(prefix.count)) : nil
    }

    /// Room for the siblings of a key that several databases have written.
    static var sharedConfiguration: TopicConfiguration {
        var log = LogConfiguration(
            segmentBytes: 64 << 20, maxMessageBytes: 32 << 20, tailBytes: 1 << 20)
        log.cleanupPolicy = .compact
        // The timestamps that count are the versions' own.
        log.messageTimestampType = .logAppendTime
        return TopicConfiguration(partitions: 1, log: log)
    }

    /// One partition: a commit is small, and those of all groups share its syncs.
    static var configuration: TopicConfiguration {
        var log = LogConfiguration(segmentBytes: 16 << 20, tailBytes: 1 << 20)
        log.cleanupPolicy = .compact
        return TopicConfiguration(partitions: 1, log: log)
    }
}
