public import CordwoodLog

/// How a database is opened.
public struct DatabaseOptions: Sendable, Hashable {
    public enum Mode: Sendable, Hashable {
        /// Creates a database where the folder is missing or empty.
        case openOrCreate
        /// The folder must hold a database.
        case openExisting
    }

    public var mode: Mode

    /// How often logs are rolled by age, retained, compacted and rid of idle producers (Kafka:
    /// `log.retention.check.interval.ms`). Nil leaves that to ``Database/maintain()``.
    public var retentionCheckIntervalMilliseconds: Int?

    /// What compaction may take of the machine when maintenance runs it (Kafka: `log.cleaner.*`).
    /// By default it gives way to appends; see ``CompactionOptions/background``.
    public var compaction: CompactionOptions

    public init(
        mode: Mode = .openOrCreate, retentionCheckIntervalMilliseconds: Int? = 300_000,
        compaction: CompactionOptions = .background
    ) {
        self.mode = mode
        self.compaction = compaction
        self.retentionCheckIntervalMilliseconds = retentionCheckIntervalMilliseconds
    }
}
