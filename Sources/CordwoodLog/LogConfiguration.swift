/// How a partition's log is kept. Names and meanings are Kafka's, with `ms` spelled out as
/// `Milliseconds`; `docs/configuration.md` maps each to Kafka's and says where they differ.
///
/// A time or size of nil is unlimited.
public struct LogConfiguration: Sendable, Hashable {
    // MARK: Segments

    /// A segment is sealed before it would pass this size (Kafka: `segment.bytes`).
    public var segmentBytes: Int
    /// A segment is sealed when its first record was appended this long ago (`segment.ms`).
    public var segmentMilliseconds: Int? = 7 * Self.day
    /// Up to so much is taken off ``segmentMilliseconds``, at random for each segment, so that the
    /// partitions of a topic do not all roll at once (`segment.jitter.ms`).
    public var segmentJitterMilliseconds = 0
    /// A segment is sealed before its offset index would pass this size (`segment.index.bytes`).
    public var segmentIndexBytes = 10 << 20
    /// The distance between two entries of the offset index (`index.interval.bytes`).
    public var indexIntervalBytes: Int

    // MARK: Retention and compaction

    /// What happens to old records: whole segments are deleted, or only the latest record of each
    /// key is kept, or both (`cleanup.policy`).
    public var cleanupPolicy: CleanupPolicy = .delete
    /// The oldest segments are deleted while those behind them hold this much (`retention.bytes`).
    public var retentionBytes: Int?
    /// Segments are deleted when their newest record is older than this (`retention.ms`).
    public var retentionMilliseconds: Int?
    /// Compaction waits until this part of the log has not been compacted
    /// (`min.cleanable.dirty.ratio`).
    public var minCleanableDirtyRatio = 0.5
    /// Records younger than this are not compacted (`min.compaction.lag.ms`).
    public var minCompactionLagMilliseconds = 0
    /// A record older than this is compacted whatever the dirty ratio, and its segment sealed for
    /// that (`max.compaction.lag.ms`).
    public var maxCompactionLagMilliseconds: Int?
    /// How long compaction keeps tombstones, for readers that are on their way through the log
    /// (`delete.retention.ms`).
    public var deleteRetentionMilliseconds = Self.day

    // MARK: Records

    /// The largest batch, and so the largest record (`max.message.bytes`).
    public var maxMessageBytes: Int
    /// How batches are compressed that this library encodes (`compression.type`).
    public var compressionType: CompressionType = .producer
    /// Whose clock stamps records (`message.timestamp.type`).
    public var messageTimestampType: TimestampType = .createTime
    /// How far behind the log's clock a record's timestamp may be
    /// (`message.timestamp.before.max.ms`).
    public var messageTimestampBeforeMaxMilliseconds: Int?
    /// How far ahead of the log's clock a record's timestamp may be
    /// (`message.timestamp.after.max.ms`).
    public var messageTimestampAfterMaxMilliseconds: Int? = Self.hour
    /// How long an idle producer's sequence numbers are remembered (`producer.id.expiration.ms`).
    public var producerIDExpirationMilliseconds = Self.day

    // MARK: Memory; Kafka has no names for these

    /// How many bytes may wait to be written before ``PartitionLog/append(_:acknowledge:)`` holds
    /// its callers back.
    public var maximumQueuedBytes: Int
    /// The most bytes written by one group, and so before one sync.
    public var maximumGroupBytes: Int
    /// How many bytes of the newest batches are kept in memory for readers at the tail.
    public var tailBytes: Int

    /// How segments prepare space; tests make it small.
    var spaceAhead = SpaceAhead.Limits()

    public init(
        segmentBytes: Int = 1 << 30, indexIntervalBytes: Int = 4096,
        maxMessageBytes: Int = 1_048_588, maximumQueuedBytes: Int = 32 << 20,
        maximumGroupBytes: Int = 4 << 20, tailBytes: Int = 8 << 20
    ) {
        self.segmentBytes = segmentBytes
        self.indexIntervalBytes = indexIntervalBytes
        self.maxMessageBytes = maxMessageBytes
        self.maximumQueuedBytes = maximumQueuedBytes
        self.maximumGroupBytes = maximumGroupBytes
        self.tailBytes = tailBytes
    }

    private static var hour: Int { 3_600_000 }
    private static var day: Int { 24 * hour }
}

extension LogConfiguration {
    /// Throws ``LogError/Code/invalidConfiguration`` naming the property that cannot work.
    package func validate() throws(LogError) {
        func check(_ name: String, _ value: Int?, _ range: ClosedRange<Int>) throws(LogError) {
            guard let value, !range.contains(value) else { return }
            throw LogError(
                .invalidConfiguration,
                "\(name): expected \(range.lowerBound) to \(range.upperBound), found \(value)")
        }
        guard compressionType.isValid else {
            throw LogError(
                .invalidConfiguration,
                "compressionType: expected a level that the codec has, found \(compressionType)")
        }
        // A thousand years: sums with a timestamp of today cannot overflow.
        let times = 0...Self.day * 365 * 1000
        try check("maxMessageBytes", maxMessageBytes, 128...BatchHeader.maximumByteCount)
        try check(
            "segmentBytes", segmentBytes,
            SegmentHeader.byteCount + maxMessageBytes...SegmentHeader.maximumSegmentBytes)
        try check("segmentMilliseconds", segmentMilliseconds, 1...times.upperBound)
        try check(
            "segmentJitterMilliseconds", segmentJitterMilliseconds,
            0...(segmentMilliseconds ?? times.upperBound))
        try check("segmentIndexBytes", segmentIndexBytes, IndexPage.byteCount...(1 << 30))
        try check("indexIntervalBytes", indexIntervalBytes, 64...(1 << 26))
        try check("retentionBytes", retentionBytes, 0...Int.max)
        try check("retentionMilliseconds", retentionMilliseconds, times)
        guard (0...1).contains(minCleanableDirtyRatio) else {
            throw LogError(
                .invalidConfiguration,
                "minCleanableDirtyRatio: expected 0 to 1, found \(minCleanableDirtyRatio)")
        }
        try check("minCompactionLagMilliseconds", minCompactionLagMilliseconds, times)
        try check(
            "maxCompactionLagMilliseconds", maxCompactionLagMilliseconds,
            max(1, minCompactionLagMilliseconds)...times.upperBound)
        try check("deleteRetentionMilliseconds", deleteRetentionMilliseconds, times)
        try check(
            "messageTimestampBeforeMaxMilliseconds", messageTimestampBeforeMaxMilliseconds, times)
        try check(
            "messageTimestampAfterMaxMilliseconds", messageTimestampAfterMaxMilliseconds, times)
        try check(
            "producerIDExpirationMilliseconds", producerIDExpirationMilliseconds,
            1...times.upperBound)
        try check("maximumQueuedBytes", maximumQueuedBytes, 1...(1 << 40))
        try check("maximumGroupBytes", maximumGroupBytes, 1...(1 << 30))
        try check("tailBytes", tailBytes, 0...(1 << 40))
        guard !cleanupPolicy.isEmpty else {
            throw LogError(
                .invalidConfiguration, "cleanupPolicy: expected delete, compact or both, found none"
            )
        }
    }
}

/// What happens to old records. Kafka's `cleanup.policy`.
public struct CleanupPolicy: OptionSet, Sendable, Hashable, CustomStringConvertible {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue & 3 }

    /// Whole segments are deleted by age and size.
    public static let delete = CleanupPolicy(rawValue: 1)
    /// Only the latest record of each key is kept.
    public static let compact = CleanupPolicy(rawValue: 2)

    /// As Kafka writes it: `delete`, `compact`, `compact,delete`.
    public var description: String {
        [(CleanupPolicy.compact, "compact"), (.delete, "delete")]
            .filter { contains($0.0) }.map(\.1).joined(separator: ",")
    }
}

/// Whose clock stamps records. Kafka's `message.timestamp.type`.
public enum TimestampType: UInt8, Sendable, Hashable, CaseIterable {
    /// The producer's.
    case createTime = 0
    /// The log's, when an append comes.
    case logAppendTime = 1
}

/// When an append returns.
public enum Acknowledgement: String, Sendable, Hashable, CaseIterable {
    /// Once it has its offset and its place in the queue. Lost if the process dies.
    case memory
    /// Once the kernel has it. Survives the death of the process, not of the machine.
    case written
    /// Once it is on the medium: after the sync of the data and of every directory entry that
    /// recovery needs. Survives power loss on media that honour a flush.
    case durable
}
