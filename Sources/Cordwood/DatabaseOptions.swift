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

    /// The offsets that a consumer group has committed are deleted when it has had no consumer and
    /// no commit for so long (Kafka: `offsets.retention.minutes`), 1 or more. Nil keeps them until
    /// ``ConsumerGroup/delete()``.
    ///
    /// Looked at with the check of retention. Who was a consumer before the database was opened is
    /// not known, so nothing goes in the first hour.
    public var offsetsRetentionMinutes: Int?

    /// What compaction may take of the machine when maintenance runs it (Kafka: `log.cleaner.*`).
    public var compaction: CompactionOptions

    public init(
        mode: Mode = .openOrCreate, retentionCheckIntervalMilliseconds: Int? = 300_000,
        offsetsRetentionMinutes: Int? = 10_080, compaction: CompactionOptions = .init()
    ) {
        self.mode = mode
        self.compaction = compaction
        self.retentionCheckIntervalMilliseconds = retentionCheckIntervalMilliseconds
        self.offsetsRetentionMinutes = offsetsRetentionMinutes
    }

    func validate() throws(DatabaseError) {
        guard let minutes = offsetsRetentionMinutes else { return }
        guard (1...Int(Int32.max)).contains(minutes) else {
            throw DatabaseError(
                .invalidConfiguration,
                "offsetsRetentionMinutes: expected 1 to \(Int32.max), found \(minutes)")
        }
    }
}
