public import CordwoodLog

/// Where a consumer begins in a partition for which its group has committed nothing, or something
/// that the log no longer holds (Kafka: `auto.offset.reset`).
public enum AutoOffsetReset: String, Sendable, Hashable, CaseIterable {
    /// At the first record that the log holds.
    case earliest
    /// After the last one.
    case latest
    /// Nowhere: ``DatabaseError/Code/offsetOutOfRange`` is thrown.
    case none
}

/// How a consumer reads. Names and meanings are Kafka's.
public struct ConsumerConfiguration: Sendable, Hashable {
    /// Where there is nothing to go on from. Kafka's default is `latest`, which skips what was
    /// written before a group first reads; here nothing is skipped unless it is asked for.
    public var autoOffsetReset: AutoOffsetReset
    /// Which records are handed out (`isolation.level`). Kafka's default is `uncommitted`, which
    /// serves records of transactions that are then aborted.
    public var isolationLevel: Isolation
    /// Commits what was handed out before, when the next record is asked for and so much time has
    /// passed; nil leaves commits to the caller (`auto.commit.interval.ms`; Kafka's default: 5000).
    public var autoCommitIntervalMilliseconds: Int?
    /// About how many bytes are fetched from one partition at a time
    /// (`max.partition.fetch.bytes`).
    public var maxPartitionFetchBytes: Int
    /// About how many bytes are held for all partitions together (`fetch.max.bytes`); every
    /// partition may hold at least 64 KiB, or one batch.
    public var fetchMaxBytes: Int
    /// Whether to wait for more at the end of all partitions, or to end there.
    public var following: Bool

    public init(
        autoOffsetReset: AutoOffsetReset = .earliest, isolationLevel: Isolation = .committed,
        autoCommitIntervalMilliseconds: Int? = nil,
        maxPartitionFetchBytes: Int = 1 << 20, fetchMaxBytes: Int = 50 << 20,
        following: Bool = true
    ) {
        self.autoOffsetReset = autoOffsetReset
        self.isolationLevel = isolationLevel
        self.autoCommitIntervalMilliseconds = autoCommitIntervalMilliseconds
        self.maxPartitionFetchBytes = maxPartitionFetchBytes
        self.fetchMaxBytes = fetchMaxBytes
        self.following = following
    }

    func validate() throws(DatabaseError) {
        func check(
            _ name: String, _ value: Int, _ range: ClosedRange<Int>
        ) throws(DatabaseError) {
            guard range.contains(value) else {
                throw DatabaseError(
                    .invalidConfiguration,
                    "\(name): expected \(range.lowerBound) to \(range.upperBound), found \(value)")
            }
        }
        try check("maxPartitionFetchBytes", maxPartitionFetchBytes, 1...(1 << 30))
        try check("fetchMaxBytes", fetchMaxBytes, 1...(1 << 40))
        if let interval = autoCommitIntervalMilliseconds {
            try check("autoCommitIntervalMilliseconds", interval, 0...Int(Int32.max))
        }
    }

    /// How much to fetch at a time from each of `count` partitions.
    func fetchBytes(partitions count: Int) -> Int {
        min(maxPartitionFetchBytes, max(64 << 10, fetchMaxBytes / max(1, count)))
    }
}
