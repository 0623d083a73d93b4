import CordwoodLog
import CordwoodStorage
import CordwoodVectors
import Synchronization

/// How a collection is opened.
extension Registry {
    static func check(
        _ name: String, _ asked: CollectionConfiguration, against existing: CollectionConfiguration
    ) throws(DatabaseError) {
        guard asked.dimensions == existing.dimensions, asked.metric == existing.metric,
            asked.index == existing.index
        else {
            func text(_ configuration: CollectionConfiguration) -> String {
                "\(configuration.dimensions) dimensions, metric \(configuration.metric.rawValue), "
                    + "index \(configuration.index)"
            }
            throw DatabaseError(
                .configurationMismatch,
                "collection \(name) has \(text(existing)); asked for \(text(asked))")
        }
    }

    func openCollection(
        _ name: String, creating: CollectionConfiguration?
    ) async throws(DatabaseError) -> Collection {
        let existing = catalog.collections[name]
        guard let configuration = existing ?? creating else {
            throw DatabaseError(.unknownCollection, "no collection \(String(reflecting: name))")
        }
        try configuration.validate()
        let directory = try await directory(
            "collections", name, isNew: existing == nil,
            isFirst: catalog.collections.isEmpty && collections.count <= 1)
        let path: StoragePath
        do { path = try directory.appending("0") } catch {
            throw DatabaseError(error, "collection \(name)")
        }
        let log = try await openLog(
            path, configuration.log, .init(kind: "collection", name: name, partition: 0))
        do throws(DatabaseError) {
            let collection = try await self.collection(
                name, configuration, log: log, in: directory)
            if existing == nil { try await add(.addCollection(name: name, configuration)) }
            if let observer { collection.observation.set(observer.collection(collection.place)) }
            openCollections.append(collection)
            // Only what the catalog names may have files of its own.
            collection.sealing.startIfDue()
            return collection
        } catch {
            await abandon([log])
            throw error
        }
    }

    /// A collection over its open log.
    private func collection(
        _ name: String, _ configuration: CollectionConfiguration, log: any Log,
        in directory: StoragePath
    ) async throws(DatabaseError) -> Collection {
        let place = DatabaseObserver.Place(kind: "collection", name: name, partition: 0)
        let observation = CollectionObservation()
        var sealer: Sealer<S>?
        if let format = SegmentFormat(configuration) {
            do throws(StorageError) {
                sealer = Sealer(
                    store: try SegmentStore(
                        format, in: directory, on: storage, name: name, lock: lock),
                    log: log, configuration: configuration, name: name, threads: buildThreads,
                    observation: observation
                ) { [weak self] in await self?.note($0, of: place) }
            } catch { throw DatabaseError(error, "collection \(name)") }
        }
        let replay = CollectionReplay(
            log: log, configuration: configuration, name: name, storage: storage, sealer: sealer)
        let views = try await CurrentView(of: log) { () async throws(DatabaseError) in
            try await replay.run()
        }
        if let problems = sealer?.store.takeProblems() {
            published.withLock { $0.recovery.notes += problems }
            for problem in problems { note(problem, of: place) }
        }
        let sealing = CollectionSealing(
            name: name, views: views, configuration: configuration,
            ownTasksExecutor: storage.ownTasksExecutor
        ) { [weak self] error in
            observation.current?.sealingFailed(error)
            await self?.note("a sealing failed and will be tried again: \(error)", of: place)
        }
        return Collection(
            name: name, configuration: configuration, log: log, views: views, sealing: sealing,
            observation: observation)
    }
}
