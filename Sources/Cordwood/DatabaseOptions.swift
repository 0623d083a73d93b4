public import CordwoodLog
import CordwoodStorage

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
    /// `log.retention.check.interval.ms`). Compaction has a task of its own, so that nothing waits
    /// for it; while it takes longer than this, it goes on without a pause. Nil leaves all that to
    /// ``Database/maintain()``.
    public var retentionCheckIntervalMilliseconds: Int?

    /// The offsets that a consumer group has committed are deleted when it has had no consumer and
    /// no commit for so long (Kafka: `offsets.retention.minutes`), 1 or more. Nil keeps them until
    /// ``ConsumerGroup/delete()``.
    ///
    /// Looked at with the check of retention. Who was a consumer before the database was opened is
    /// not known, so nothing goes in the first hour.
    public var offsetsRetentionMinutes: Int?

    /// What compaction may take of the machine when maintenance runs it (Kafka: `log.cleaner.*`).
    /// By default it gives way to appends; see ``CompactionOptions/background``.
    public var compaction: CompactionOptions

    /// How long a transactional id is kept that has no transaction open and that nobody uses (Kafka:
    /// `transactional.id.expiration.ms`). A producer that holds it longer without using it is fenced
    /// then. At least 1.
    public var transactionalIDExpirationMilliseconds: Int

    /// How many threads the building of a collection's segment takes, 1 to 1,024: threads that end with
    /// it, beside those of ``Database/ownedThreads``. By default half of the processors, so that
    /// searches keep the others.
    public var buildThreads: Int

    /// Half of ``processorCount``, at least one.
    public static let defaultBuildThreads = max(1, processorCount / 2)
    /// The processors that the process may use.
    public static let processorCount = LinuxStorage.activeProcessorCount()

    public init(
        mode: Mode = .openOrCreate, retentionCheckIntervalMilliseconds: Int? = 300_000,
        offsetsRetentionMinutes: Int? = 10_080, compaction: CompactionOptions = .background,
        transactionalIDExpirationMilliseconds: Int = 604_800_000,
        buildThreads: Int = DatabaseOptions.defaultBuildThreads
    ) {
        self.mode = mode
        self.compaction = compaction
        self.retentionCheckIntervalMilliseconds = retentionCheckIntervalMilliseconds
        self.offsetsRetentionMinutes = offsetsRetentionMinutes
        self.transactionalIDExpirationMilliseconds = transactionalIDExpirationMilliseconds
        self.buildThreads = buildThreads
    }

    /// Throws ``DatabaseError/Code/invalidConfiguration`` for options that cannot work.
    func validate() throws(DatabaseError) {
        guard transactionalIDExpirationMilliseconds >= 1 else {
            throw DatabaseError(
                .invalidConfiguration,
                "transactionalIDExpirationMilliseconds: expected at least 1, found "
                    + "\(transactionalIDExpirationMilliseconds)")
        }
        guard (1...1024).contains(buildThreads) else {
            throw DatabaseError(
                .invalidConfiguration,
                "buildThreads: expected 1 to 1024, found \(buildThreads)")
        }
        guard let minutes = offsetsRetentionMinutes else { return }
        guard (1...Int(Int32.max)).contains(minutes) else {
            throw DatabaseError(
                .invalidConfiguration,
                "offsetsRetentionMinutes: expected 1 to \(Int32.max), found \(minutes)")
        }
    }
}
