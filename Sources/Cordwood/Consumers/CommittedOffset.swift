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
        max(0, log.end(for: isolation) - max(offset, log.startOffset))
    }
}
