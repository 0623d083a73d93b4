import CordwoodLog
public import CordwoodStorage
import CordwoodVectors

extension Database {
    private static let lockName = "LOCK"

    /// Opens the database in the folder at `path`, and recovers it where it was not closed.
    ///
    /// Creates one in a missing or empty folder when `options` allow it. Throws
    /// ``DatabaseError/Code/notADatabase`` for a folder of other things,
    /// ``DatabaseError/Code/locked`` when it is open elsewhere and
    /// ``DatabaseError/Code/newerFormat`` for files of a newer version; nothing was written then.
    public static func open(
        at path: String, _ options: DatabaseOptions = .init()
    ) async throws(DatabaseError) -> Database {
        do { try VectorKernels.checkRequestedISA() } catch {
            throw DatabaseError(.invalidConfiguration, "environment", cause: error)
        }
        let storage: LinuxStorage
        do {
            storage = try await LinuxStorage.open(
                root: path, .init(createsRoot: options.mode == .openOrCreate))
        } catch {
            guard error.code == .notFound || error.code == .wrongKind else {
                throw DatabaseError(error, path)
            }
            throw DatabaseError(
                .notADatabase, "\(path): expected a folder with a database, found none",
                cause: error)
        }
        return try await open(
            on: storage, options, name: path, ioPath: "\(storage.ioPath)")
    }

    /// Opens a database at the root of any storage, such as a simulated disk, to test a server
    /// against its faults. `name` stands for it in errors.
    public static func open<S: Storage>(
        on storage: S, _ options: DatabaseOptions = .init(), name: String = "database",
        ioPath: String = "other"
    ) async throws(DatabaseError) -> Database {
        try options.validate()
        try await checkFolder(storage, options, name)
        let lock: DatabaseLock
        do {
            lock = DatabaseLock(try await storage.lock(try StoragePath.root.appending(lockName)))
        } catch { throw DatabaseError(error, name) }
        let registry = try await Registry.open(
            storage, lock: lock, name: name, options)
        let database = Database(
            registry: registry, options, ioPath: ioPath, taskExecutor: storage.taskExecutor,
            countThreads: { storage.ownedThreads })
        if let interval = options.retentionCheckIntervalMilliseconds, interval > 0 {
            registry.startMaintenance(every: interval) {
                [weak services = database.services] now async throws(DatabaseError) in
                try await services?.expireOffsets(now: now)
            }
        }
        await database.services.recoverTransactions()
        return database
    }

    /// Refuses a folder that is not a database's, before anything is written to it.
    private static func checkFolder<S: Storage>(
        _ storage: S, _ options: DatabaseOptions, _ name: String
    ) async throws(DatabaseError) {
        let names: [String]
        do { names = try await storage.entries(of: .root).map(\.name) } catch {
            throw DatabaseError(error, name)
        }
        if names.contains(Catalog<S>.fileName) { return }
        let mark = "a folder with a file \(Catalog<S>.fileName)"
        guard options.mode == .openOrCreate else {
            throw DatabaseError(.notADatabase, "\(name): expected \(mark), found none")
        }
        // What a creation that was cut short may have left, and what a fresh file system has.
        let harmless: Set = [lockName, Catalog<S>.fileName + ".new", "lost+found"]
        if let other = names.first(where: { !harmless.contains($0) }) {
            throw DatabaseError(
                .notADatabase,
                "\(name): expected \(mark), or an empty folder, found \(String(reflecting: other))")
        }
    }
}
