import CordwoodStorage
import Synchronization

/// The snapshots of a database's folds, in its folder `views`, and the names of those that are open.
final class ViewStore: Sendable {
    private let files: any ViewFiles
    private let open = Mutex<Set<String>>([])

    init(_ files: any ViewFiles) { self.files = files }

    /// Takes a name for as long as the returned object lives: two folds that write the same
    /// snapshot would overwrite each other.
    func claim(_ name: String) throws(DatabaseError) -> ViewClaim {
        do { _ = try StoragePath.root.appending(name) } catch {
            throw DatabaseError(error, "a view's name")
        }
        let isFree = open.withLock { $0.insert(name).inserted }
        guard isFree else {
            throw DatabaseError(.viewInUse, "another fold or view has the name \(name)")
        }
        return ViewClaim(name: name, store: self)
    }

    func release(_ name: String) { open.withLock { _ = $0.remove(name) } }

    /// The snapshot's file; nil where there is none.
    func read(_ claim: ViewClaim) async throws(DatabaseError) -> MemoryBlock? {
        do { return try await files.read(claim.name) } catch {
            throw DatabaseError(error, "view \(claim.name)")
        }
    }

    /// The files of a cached view's disk tier.
    func tierFiles(_ claim: ViewClaim) -> any TierFiles { files.tier(claim.name) }

    /// Where tasks run that work for a view; nil for Swift's pool.
    var ownTasksExecutor: (any TaskExecutor)? { files.ownTasksExecutor }

    /// Puts a file in the place of the old one, atomically; durable when it returns.
    func replace(_ claim: ViewClaim, with bytes: MemoryBlock) async throws(StorageError) {
        try await files.replace(claim.name, with: bytes)
    }
}

/// A view's name, taken until this is released.
final class ViewClaim: Sendable {
    let name: String
    private let store: ViewStore

    init(name: String, store: ViewStore) {
        self.name = name
        self.store = store
    }

    deinit { store.release(name) }
}

/// The files of views, whatever storage they lie on.
protocol ViewFiles: Sendable {
    func read(_ name: String) async throws(StorageError) -> MemoryBlock?
    func replace(_ name: String, with bytes: MemoryBlock) async throws(StorageError)
    /// Of a name that was checked.
    func tier(_ name: String) -> any TierFiles
    var ownTasksExecutor: (any TaskExecutor)? { get }
}

/// `views/NAME/snapshot` on a storage.
struct StorageViewFiles<S: Storage>: ViewFiles {
    let storage: S

    private func folder(_ name: String) throws(StorageError) -> StoragePath {
        try StoragePath.root.appending("views").appending(name)
    }

    func read(_ name: String) async throws(StorageError) -> MemoryBlock? {
        let file: S.File
        do throws(StorageError) {
            file = try await storage.open(try folder(name).appending("snapshot"), .read)
        } catch {
            if error.code == .notFound { return nil }
            throw error
        }
        let size = try await file.size()
        let bytes = try await file.read(
            at: 0, count: min(size, FoldSnapshot.maximumBytes + 1))
        await file.close()
        return bytes
    }

    func replace(_ name: String, with bytes: MemoryBlock) async throws(StorageError) {
        let folder = try folder(name)
        try await storage.createDirectory(folder)
        try await storage.replaceFile(try folder.appending("snapshot"), with: bytes)
        for directory in [folder.parent, .root] { try await storage.syncDirectory(directory) }
    }

    func tier(_ name: String) -> any TierFiles { StorageTierFiles(storage: storage, name: name) }

    var ownTasksExecutor: (any TaskExecutor)? { storage.ownTasksExecutor }
}
