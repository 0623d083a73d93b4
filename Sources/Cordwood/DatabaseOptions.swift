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

    /// How long a transactional id is kept that has no transaction open and that nobody uses (Kafka:
    /// `transactional.id.expiration.ms`). A producer that holds it longer without using it is fenced
    /// then. At least 1.
    public var transactionalIDExpirationMilliseconds: Int

    public init(
        mode: Mode = .openOrCreate, retentionCheckIntervalMilliseconds: Int? = 300_000,
        compaction: CompactionOptions = .background,
        transactionalIDExpirationMilliseconds: Int = 604_800_000
    ) {
        self.mode = mode
        self.compaction = compaction
        self.retentionCheckIntervalMilliseconds = retentionCheckIntervalMilliseconds
        self.transactionalIDExpirationMilliseconds = transactionalIDExpirationMilliseconds
    }

    /// Throws ``DatabaseError/Code/invalidConfiguration`` for options that cannot work.
    func validate() throws(DatabaseError) {
        guard transactionalIDExpirationMilliseconds >= 1 else {
            throw DatabaseError(
                .invalidConfiguration,
                "transactionalIDExpirationMilliseconds: expected at least 1, found "
                    + "\(transactionalIDExpirationMilliseconds)")
        }
    }
}
