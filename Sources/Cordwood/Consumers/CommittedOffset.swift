import CordwoodLog

/// How far a consumer group has come in one partition.
public struct CommittedOffset: Sendable, Hashable {
    /// The most bytes of UTF-8 that ``metadata`` may have (Kafka: `offset.metadata.max.bytes`).
    public static let maximumMetadataBytes = 4096

    /// The offset of the next record to be processed.
    public var offset: Int64
    /// The leader epoch of the last record that was processed; -1 where it is not known.
    public var leaderEpoch: Int32
    /// Anything that the consumer wants to find again.
    public var metadata: String
    /// When it was committed, in milliseconds since 1970-01-01 UTC; nil takes the database's clock.
    public var timestamp: Int64?

    public init(
        _ offset: Int64, leaderEpoch: Int32 = -1, metadata: String = "", timestamp: Int64? = nil
    ) {
        self.offset = offset
        self.leaderEpoch = leaderEpoch
        self.metadata = metadata
        self.timestamp = timestamp
    }

    func validate(_ place: TopicPartition) throws(DatabaseError) {
        guard offset >= 0 else {
            throw DatabaseError(
                .invalidOffset, "\(place): expected an offset of 0 or more, found \(offset)")
        }
        guard metadata.utf8.count <= Self.maximumMetadataBytes else {
            throw DatabaseError(
                .invalidOffset,
                "\(place): expected at most \(Self.maximumMetadataBytes) bytes of metadata, found "
                    + "\(metadata.utf8.count)")
        }
    }
}

extension CommittedOffset {
    /// How many offsets lie between this one and the end that readers of an isolation see.
    func lag(in log: any Log, isolation: Isolation) -> Int64 {
        // Retention may have passed the group by, and a truncation may have cut it short.
        let next = continued(in: log)?.offset ?? offset
        return max(0, log.end(for: isolation) - max(next, log.startOffset))
    }

    /// Where a reader goes on that has come so far: here, or where the log's history and the one
    /// that was read part, which is where the last epoch ends that they share (Kafka's KIP-320).
    /// Nil where that cannot be told: the log has nothing of the offset's epoch or a later one.
    /// Without an epoch the offset is believed.
    func continued(in log: any Log) -> CommittedOffset? {
        guard leaderEpoch >= 0 else { return self }
        guard let end = log.endOffset(forEpoch: leaderEpoch) else { return nil }
        if offset <= end.endOffset { return self }
        return CommittedOffset(end.endOffset, leaderEpoch: end.epoch)
    }
}
