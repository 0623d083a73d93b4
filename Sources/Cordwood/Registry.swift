import CordwoodLog
import CordwoodStorage
import CordwoodVectors
import Synchronization

/// Opens what a database holds, each topic and collection once, and keeps the catalog.
///
/// An actor: creations and openings are decided one after the other. Opening a log can take long, so
/// it runs in a task of its own that everyone who asks for it awaits.
actor Registry<S: Storage>: DatabaseRegistry {
    nonisolated let storage: S
    let name: String
    private let views: ViewStore
    let catalog: Catalog<S>
    /// The mapped segments of all logs.
    private let cache = SegmentCache()
    private nonisolated let maintenance: Maintenance
    private let catalogLock = AsyncLock()
    /// Alterations read what the ones before them wrote.
    private let alterationLock = AsyncLock()
    /// Nothing more is opened: the folder is let go of.
    private var isClosing = false
    let lock: DatabaseLock
    private var topics: [String: Task<Result<Topic, DatabaseError>, Never>] = [:]
    var collections: [String: Task<Result<Collection, DatabaseError>, Never>] = [:]
    /// Threads that build an index.
    let buildThreads: Int
    var openCollections: [Collection] = []
    var logs: [any Log] = []
    /// Which log each of ``logs`` is, and how long its opening took.
    var openings: [Opening] = []
    var observer: DatabaseObserver?
    /// What was noted of the segments of collections, for an observer that comes later.
    var notes: [(place: DatabaseObserver.Place, text: String)] = []
    static var keptNotes: Int { 64 }
    nonisolated let published: Mutex<Published>

    struct Opening {
        var place: DatabaseObserver.Place
        var duration: Duration
    }

    /// What can be asked without waiting.
    struct Published {
        var topicNames: [String]
        var collectionNames: [String]
        var recovery: RecoveryReport
    }

    nonisolated var clock: any WallClock { storage.clock }
    nonisolated func randomIdentity() -> UInt64 { storage.randomIdentity() }
    nonisolated var ownTasksExecutor: (any TaskExecutor)? { storage.ownTasksExecutor }
    nonisolated var topicNames: [String] { published.withLock { $0.topicNames } }
    nonisolated var collectionNames: [String] { published.withLock { $0.collectionNames } }
    nonisolated var recovery: RecoveryReport { published.withLock { $0.recovery } }

    static func open(
        _ storage: S, lock: DatabaseLock, name: String, _ options: DatabaseOptions
    ) async throws(DatabaseError) -> Registry<S> {
        let path: StoragePath
        let exists: Bool
        do {
            path = try StoragePath.root.appending(Catalog<S>.fileName)
            exists = try await storage.entries(of: .root).contains { $0.name == path.names[0] }
        } catch { throw DatabaseError(error, name) }
        do {
            let catalog =
                exists
                ? try await Catalog.open(path, on: storage)
                : try await Catalog.create(path, on: storage)
            return Registry(
                storage, catalog: catalog, lock: lock, name: name,
                maintenance: Maintenance(options.compaction), buildThreads: options.buildThreads)
        } catch { throw DatabaseError(error, name) }
    }

    private init(
        _ storage: S, catalog: sending Catalog<S>, lock: DatabaseLock, name: String,
        maintenance: Maintenance, buildThreads: Int
    ) {
        self.storage = storage
        self.maintenance = maintenance
        self.buildThreads = buildThreads
        self.name = name
        views = ViewStore(StorageViewFiles(storage: storage))
        self.lock = lock
        var recovery = RecoveryReport()
        if catalog.cutBytes > 0 {
            recovery.cutBytes = catalog.cutBytes
            recovery.notes.append("cut a torn entry off \(Catalog<S>.fileName)")
        }
        published = Mutex(
            Published(
                topicNames: catalog.topics.keys.sorted(),
                collectionNames: catalog.collections.keys.sorted(), recovery: recovery))
        self.catalog = catalog
    }

    func close() async throws(DatabaseError) {
        var failure: DatabaseError?
        isClosing = true
        await maintenance.stop()
        // Openings under way finish first, so that no log is left behind.
        for task in topics.values { _ = await task.value }
        for task in collections.values {
            if case .success(let collection) = await task.value { await collection.sealing.stop() }
        }
        for log in logs {
            do throws(LogError) { try await log.close() } catch {
                failure = failure ?? DatabaseError(error, "closing \(name)")
            }
        }
        logs = []
        await catalog.close()
        lock.letGo()
        if let failure { throw failure }
    }

    // MARK: Maintenance

    nonisolated var maintenanceStatus: MaintenanceStatus { maintenance.currentStatus }

    nonisolated func startMaintenance(
        every milliseconds: Int, expiringOffsets: @escaping Maintenance.ExpireOffsets
    ) {
        maintenance.start(
            every: milliseconds, clock: storage.clock, expiringOffsets: expiringOffsets
        ) { [weak self] in
            await self?.logs
        }
    }

    func maintain(expiringOffsets: Maintenance.ExpireOffsets) async -> MaintenanceStatus {
        await maintenance.pass(
            over: logs, now: storage.clock.millisecondsNow(), expiringOffsets: expiringOffsets)
        return maintenance.currentStatus
    }

    // MARK: Topics

    func alterTopic(
        _ name: String, _ change: @Sendable (inout LogConfiguration) -> Void
    ) async throws(DatabaseError) {
        let topic = try await topic(name, creating: nil)
        try await alterationLock.withLock { () async throws(DatabaseError) in
            try await alter(topic, change)
        }
    }

    private func alter(
        _ topic: Topic, _ change: @Sendable (inout LogConfiguration) -> Void
    ) async throws(DatabaseError) {
        let name = topic.name
        var configuration = topic.configuration
        change(&configuration.log)
        try configuration.validate()
        try await add(.addTopic(name: name, configuration))
        for partition in topic.partitions {
            do { try await partition.log.alter(configuration.log) } catch {
                throw DatabaseError(error, "topic \(name), partition \(partition.number)")
            }
        }
    }

    func topic(
        _ name: String, creating: TopicConfiguration?
    ) async throws(DatabaseError) -> Topic {
        if let existing = catalog.topics[name] {
            if let creating, creating.partitions != existing.partitions {
                throw DatabaseError(
                    .configurationMismatch,
                    "topic \(name) has \(existing.partitions) partitions, "
                        + "asked for \(creating.partitions)")
            }
        } else if let creating {
            try creating.validate()
        } else if topics[name] == nil {
            throw DatabaseError(
                .unknownTopic, "\(self.name) has no topic \(String(reflecting: name))")
        }
        if isClosing, topics[name] == nil {
            throw DatabaseError(.closed, "\(self.name) was closed; \(name) is not opened any more")
        }
        let task =
            topics[name]
            ?? Task(executorPreference: storage.ownTasksExecutor) {
                () -> Result<Topic, DatabaseError> in
                do throws(DatabaseError) {
                    return .success(try await self.openTopic(name, creating: creating))
                } catch { return .failure(error) }
            }
        topics[name] = task
        let result = await task.value
        if case .failure = result { topics[name] = nil }
        return try result.get()
    }

    private func openTopic(
        _ name: String, creating: TopicConfiguration?
    ) async throws(DatabaseError) -> Topic {
        let existing = catalog.topics[name]
        guard let configuration = existing ?? creating else {
            throw DatabaseError(.unknownTopic, "no topic \(String(reflecting: name))")
        }
        // The catalog's may lie, under a checksum that is right.
        try configuration.validate()
        let directory = try await directory(
            "topics", name, isNew: existing == nil,
            isFirst: catalog.topics.isEmpty && topics.count <= 1)
        let opened = try await openLogs(in: directory, configuration, name)
        do throws(DatabaseError) {
            if existing == nil { try await add(.addTopic(name: name, configuration)) }
        } catch {
            await abandon(opened)
            throw error
        }
        return Topic(name: name, logs: opened, views: views)
    }

    // MARK: Collections

    func collection(
        _ name: String, creating: CollectionConfiguration?
    ) async throws(DatabaseError) -> Collection {
        if let existing = catalog.collections[name] {
            if let creating { try Self.check(name, creating, against: existing) }
        } else if let creating {
            try creating.validate()
        } else if collections[name] == nil {
            throw DatabaseError(
                .unknownCollection, "\(self.name) has no collection \(String(reflecting: name))")
        }
        let task =
            collections[name]
            ?? Task(executorPreference: storage.ownTasksExecutor) {
                () -> Result<Collection, DatabaseError> in
                do throws(DatabaseError) {
                    return .success(try await self.openCollection(name, creating: creating))
                } catch { return .failure(error) }
            }
        collections[name] = task
        let result = await task.value
        if case .failure = result { collections[name] = nil }
        return try result.get()
    }

    // MARK: Files

    /// How many partitions of a topic are opened at the same time.
    private static var maximumOpenings: Int { 16 }

    /// Opens a topic's partitions, several at a time. When one fails the others are closed again.
    private func openLogs(
        in directory: StoragePath, _ configuration: TopicConfiguration,
        _ name: String
    ) async throws(DatabaseError) -> [any Log] {
        let count = configuration.partitions
        typealias Outcome = (partition: Int, result: Result<any Log, DatabaseError>)
        let results = await withTaskGroup(of: Outcome.self) { group in
            func add(_ partition: Int) {
                group.addTask {
                    do throws(DatabaseError) {
                        let log = try await self.openLog(
                            partition, in: directory, configuration.log, name)
                        return (partition, .success(log))
                    } catch { return (partition, .failure(error)) }
                }
            }
            var next = min(count, Self.maximumOpenings)
            for partition in 0..<next { add(partition) }
            var results: [Outcome] = []
            for await result in group {
                results.append(result)
                if next < count {
                    add(next)
                    next += 1
                }
            }
            return results.sorted { $0.partition < $1.partition }
        }
        let opened = results.compactMap { try? $0.result.get() }
        if let failure = results.first(where: { (try? $0.result.get()) == nil }) {
            await abandon(opened)
            _ = try failure.result.get()
        }
        return opened
    }

    /// Closes logs of something that could not be opened whole: the next attempt opens them anew, and
    /// two must never be open on one folder.
    func abandon(_ opened: [any Log]) async {
        for log in opened {
            // The error that led here is the one to be told.
            try? await log.close()
            guard let place = logs.firstIndex(where: { $0 === log }) else { continue }
            logs.remove(at: place)
            openings.remove(at: place)
        }
    }

    private func openLog(
        _ partition: Int, in directory: StoragePath, _ configuration: LogConfiguration,
        _ name: String
    ) async throws(DatabaseError) -> any Log {
        let path: StoragePath
        do { path = try directory.appending(String(partition)) } catch {
            throw DatabaseError(error, "topic \(name)")
        }
        return try await openLog(
            path, configuration, .init(kind: "topic", name: name, partition: partition))
    }

    func openLog(
        _ path: StoragePath, _ configuration: LogConfiguration, _ place: DatabaseObserver.Place
    ) async throws(DatabaseError) -> any Log {
        do {
            let start = LogObserver.monotonicNow()
            let log = try await PartitionLog.open(
                path, on: storage, configuration: configuration, cache: cache)
            let opening = Opening(place: place, duration: LogObserver.monotonicNow() - start)
            if let observer { await opening.tell(observer, of: log) }
            logs.append(log)
            openings.append(opening)
            published.withLock { $0.recovery = $0.recovery + log.recovery }
            return log
        } catch { throw DatabaseError(error, "\(place.kind) \(place.name)") }
    }

    /// One edit at a time: the catalog's file has one end.
    func add(_ edit: CatalogEdit) async throws(DatabaseError) {
        do {
            try await catalogLock.withLock { () async throws(StorageError) in
                try await catalog.append(edit)
            }
        } catch { throw DatabaseError(error, name) }
        let (topics, collections) = (
            catalog.topics.keys.sorted(), catalog.collections.keys.sorted()
        )
        published.withLock {
            $0.topicNames = topics
            $0.collectionNames = collections
        }
    }
}
