/// How a partition's log is laid out. Names and meanings are Kafka's.
public struct LogConfiguration: Sendable, Hashable {
    /// A segment is sealed before it would pass this size (Kafka: `segment.bytes`).
    public var segmentBytes: Int
    /// The distance between two entries of the offset index (Kafka: `index.interval.bytes`).
    public var indexIntervalBytes: Int
    /// The largest batch, and so the largest record (Kafka: `max.message.bytes`).
    public var maximumBatchBytes: Int
    /// How many bytes may wait to be written before ``PartitionLog/append(_:acknowledge:)`` holds
    /// its callers back.
    public var maximumQueuedBytes: Int
    /// The most bytes written by one group, and so before one sync.
    public var maximumGroupBytes: Int
    /// How many bytes of the newest batches are kept in memory for readers at the tail.
    public var tailBytes: Int

    public init(
        segmentBytes: Int = 1 << 30, indexIntervalBytes: Int = 4096,
        maximumBatchBytes: Int = 1_048_588, maximumQueuedBytes: Int = 32 << 20,
        maximumGroupBytes: Int = 4 << 20, tailBytes: Int = 8 << 20
    ) {
        self.segmentBytes = segmentBytes
        self.indexIntervalBytes = indexIntervalBytes
        self.maximumBatchBytes = maximumBatchBytes
        self.maximumQueuedBytes = maximumQueuedBytes
        self.maximumGroupBytes = maximumGroupBytes
        self.tailBytes = tailBytes
    }

    /// Throws ``LogError/Code/invalidConfiguration`` naming the property that cannot work.
    package func validate() throws(LogError) {
        func check(_ name: String, _ value: Int, _ range: ClosedRange<Int>) throws(LogError) {
            guard range.contains(value) else {
                throw LogError(
                    .invalidConfiguration,
                    "\(name): expected \(range.lowerBound) to \(range.upperBound), found \(value)")
            }
        }
        let largestBatch = BatchHeader.maximumByteCount
        try check("maximumBatchBytes", maximumBatchBytes, 128...largestBatch)
        try check(
            "segmentBytes", segmentBytes,
            SegmentHeader.byteCount + maximumBatchBytes...SegmentHeader.maximumSegmentBytes)
        try check("indexIntervalBytes", indexIntervalBytes, 64...(1 << 26))
        try check("maximumQueuedBytes", maximumQueuedBytes, 1...(1 << 40))
        try check("maximumGroupBytes", maximumGroupBytes, 1...(1 << 30))
        try check("tailBytes", tailBytes, 0...(1 << 40))
    }
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

/// What a log has done since it was opened.
public struct LogStatistics: Sendable, Hashable {
    public var appendedRecords = 0
    public var appendedBytes = 0
    /// Writes; each is one group of batches.
    public var groups = 0
    /// Groups that were synced.
    public var syncs = 0

    public init() {}

    public static func + (a: Self, b: Self) -> Self {
        var sum = a
        sum.appendedRecords += b.appendedRecords
        sum.appendedBytes += b.appendedBytes
        sum.groups += b.groups
        sum.syncs += b.syncs
        return sum
    }
}
