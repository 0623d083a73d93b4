public import CordwoodLog

/// Is told what the logs of a database do. Each part may be called from several logs at once.
public struct DatabaseObserver: Sendable {
    /// Which log of a database.
    public struct Place: Sendable, Hashable, CustomStringConvertible {
        /// `topic` or `collection`.
        public var kind: String
        public var name: String
        public var partition: Int

        public var description: String { "\(kind) \(name), partition \(partition)" }
    }

    /// Makes the observer of one log, when it is opened.
    public var observer: @Sendable (Place) -> LogObserver
    /// A log was opened, in so long; the report says what was scanned, cut and quarantined.
    public var opened: @Sendable (Place, RecoveryReport, Duration) -> Void
    /// How a log is now: called for each by ``Database/recordGauges()``.
    public var measured: @Sendable (Place, LogGauges) -> Void
    /// How far a consumer group is behind: called for each partition of an open topic that it has
    /// committed to, by ``Database/recordGauges()``.
    public var lagged: @Sendable (GroupLag) -> Void
    /// Something is wrong with the segments of a collection that costs time and nothing else, in a
    /// sentence: files that could not be used, or a sealing that failed.
    public var noted: @Sendable (Place, String) -> Void
    /// Makes the observer of one collection, when it is opened.
    public var collection: @Sendable (Place) -> CollectionObserver
    /// How a collection is now: called for each by ``Database/recordGauges()``.
    public var collectionMeasured: @Sendable (Place, CollectionGauges) -> Void

    public init(
        observer: @escaping @Sendable (Place) -> LogObserver,
        opened: @escaping @Sendable (Place, RecoveryReport, Duration) -> Void = { _, _, _ in },
        measured: @escaping @Sendable (Place, LogGauges) -> Void = { _, _ in },
        lagged: @escaping @Sendable (GroupLag) -> Void = { _ in },
        noted: @escaping @Sendable (Place, String) -> Void = { _, _ in },
        collection: @escaping @Sendable (Place) -> CollectionObserver = { _ in .init() },
        collectionMeasured: @escaping @Sendable (Place, CollectionGauges) -> Void = { _, _ in }
    ) {
        self.observer = observer
        self.opened = opened
        self.measured = measured
        self.lagged = lagged
        self.noted = noted
        self.collection = collection
        self.collectionMeasured = collectionMeasured
    }
}

/// The size and state of a log at one time.
public struct LogGauges: Sendable, Hashable {
    public var segments: Int
    public var bytes: Int
    public var startOffset: Int64
    public var endOffset: Int64
    public var durableOffset: Int64
    /// Bytes that compaction has not seen; 0 for a log that is not compacted.
    public var cleanableBytes: Int
    public var health: LogHealth
}

/// How far a consumer group is behind in one partition.
public struct GroupLag: Sendable, Hashable {
    public var group: String
    public var place: TopicPartition
    /// Offsets between what the group has committed and the end of what is committed there.
    public var records: Int64
}

extension Database {
    /// Tells `observer`, in the place of an earlier one, of everything that logs do from now on:
    /// those that are open, of whose opening it is told at once, and those that are opened later.
    public func observe(_ observer: DatabaseObserver) async {
        await registry.observe(observer)
    }

    /// Measures each open log, each open collection and each consumer group, and tells the observer. For a timer of the
    /// caller's; reads no file, but for the groups' offsets at the first call.
    ///
    /// Throws where these cannot be read; the logs are measured by then.
    public func recordGauges() async throws(DatabaseError) {
        guard let observer = await registry.recordGauges() else { return }
        for lag in try await services.lags(in: await registry.openPartitions()) {
            observer.lagged(lag)
        }
    }
}
