public import CordwoodLog
import CordwoodStorage
import CordwoodVectors
import Synchronization

/// A folder of topics and collections, open in this process and in no other.
///
/// Everything in it is a log, or a view of one that is rebuilt from it. All members may be used from
/// any task at any time; none blocks a thread of Swift's pool. Close it with ``close()``: a database
/// that is only released loses nothing that was acknowledged as durable, and recovers when it is
/// opened again, which is refused for as long as somebody has a collection of it that is sealed.
public final class Database: Sendable {
    let registry: any DatabaseRegistry
    let services: DatabaseServices
    private let closed = Atomic<Bool>(false)

    /// `uring`, or `threads` where the kernel refuses io_uring or `CORDWOOD_IO` says so.
    public let ioPath: String
    /// Runs tasks on the thread that does the database's I/O, where they append and are answered
    /// without a change of threads:
    ///
    /// ```swift
    /// Task(executorPreference: database.taskExecutor) {
    ///     try await topic.append(records)
    /// }
    /// ```
    ///
    /// For tasks that mostly append and wait: while one computes, the database does nothing else,
    /// and one that blocks the thread blocks the database. Many producers there share a sync better,
    /// because all that were answered together append before the next group is written.
    public let taskExecutor: any TaskExecutor
    private let countThreads: @Sendable () -> Int

    init(
        registry: any DatabaseRegistry, _ options: DatabaseOptions, ioPath: String,
        taskExecutor: any TaskExecutor, countThreads: @escaping @Sendable () -> Int
    ) {
        self.registry = registry
        services = DatabaseServices(
            registry: registry, offsetsRetentionMinutes: options.offsetsRetentionMinutes,
            transactionalIDExpirationMilliseconds: options.transactionalIDExpirationMilliseconds)
        self.ioPath = ioPath
        self.taskExecutor = taskExecutor
        self.countThreads = countThreads
    }

    /// The instruction set that distances are computed with: `scalar`, `avx2`, `avx512`, `neon`
    /// or `neon-dotprod`.
    public var isa: String { VectorKernels.isa }
    /// How many threads the database has started.
    public var ownedThreads: Int { countThreads() }
    /// What opening the database and its logs, so far, found and did.
    public var recovery: RecoveryReport { registry.recovery }
    /// Sorted. The database's own topics are not among them.
    public var topicNames: [String] {
        registry.topicNames.filter { !InternalTopic.isInternal($0) }
    }
    /// Sorted.
    public var collectionNames: [String] { registry.collectionNames }

    /// Opens the topic of that name, created with `configuration` where there is none.
    ///
    /// A new topic is durable when this returns. Throws ``DatabaseError/Code/configurationMismatch``
    /// when it exists with another number of partitions; its log's settings are those of its
    /// creation.
    public func topic(
        _ name: String, _ configuration: TopicConfiguration = .init()
    ) async throws(DatabaseError) -> Topic {
        try checkOpen()
        try InternalTopic.checkIsCallers(name)
        return try await registry.topic(name, creating: configuration)
    }

    /// Opens a topic that exists, or throws ``DatabaseError/Code/unknownTopic``.
    public func topic(named name: String) async throws(DatabaseError) -> Topic {
        try checkOpen()
        try InternalTopic.checkIsCallers(name)
        return try await registry.topic(name, creating: nil)
    }

    /// Opens the collection of that name, created with `configuration` where there is none. Opening
    /// checks every byte of its segments and replays its log from where they end; what a segment had that
    /// cannot be used is read from the log, with a note in ``recovery``: O(bytes).
    ///
    /// A new collection is durable when this returns. Throws
    /// ``DatabaseError/Code/configurationMismatch`` when it exists with other dimensions, another
    /// metric or another index.
    public func collection(
        _ name: String, _ configuration: CollectionConfiguration
    ) async throws(DatabaseError) -> Collection {
        try checkOpen()
        return try await registry.collection(name, creating: configuration)
    }

    /// Opens a collection that exists, or throws ``DatabaseError/Code/unknownCollection``.
    public func collection(named name: String) async throws(DatabaseError) -> Collection {
        try checkOpen()
        return try await registry.collection(name, creating: nil)
    }

    /// Writes what is queued, makes everything durable, and lets go of the folder. Followers end;
    /// later calls throw ``DatabaseError/Code/closed``. Closing twice does nothing.
    public func close() async throws(DatabaseError) {
        if closed.exchange(true, ordering: .acquiringAndReleasing) { return }
        try await registry.close()
    }

    func checkOpen() throws(DatabaseError) {
        if closed.load(ordering: .acquiring) {
            throw DatabaseError(.closed, "the database was closed")
        }
    }
}

/// A ``Registry``, whatever storage it lies on.
protocol DatabaseRegistry: Sendable {
    var clock: any WallClock { get }
    var ownTasksExecutor: (any TaskExecutor)? { get }
    /// A number at random, not 0.
    func randomIdentity() -> UInt64
    var recovery: RecoveryReport { get }
    var topicNames: [String] { get }
    var collectionNames: [String] { get }
    func topic(
        _ name: String, creating: TopicConfiguration?
    ) async throws(DatabaseError) -> Topic
    func collection(
        _ name: String, creating: CollectionConfiguration?
    ) async throws(DatabaseError) -> Collection
    var maintenanceStatus: MaintenanceStatus { get }
    func maintain(
        expiringOffsets: Maintenance.ExpireOffsets
    ) async -> MaintenanceStatus
    func alterTopic(
        _ name: String, _ change: @Sendable (inout LogConfiguration) -> Void
    ) async throws(DatabaseError)
    func observe(_ observer: DatabaseObserver) async
    /// Measures the open logs; returns the observer, if there is one.
    func recordGauges() async -> DatabaseObserver?
    /// The logs of topics that are open.
    func openPartitions() async -> [TopicPartition: any Log]
    func close() async throws(DatabaseError)
}
