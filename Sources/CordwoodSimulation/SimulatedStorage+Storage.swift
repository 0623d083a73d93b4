public import CordwoodStorage
internal import Synchronization

extension SimulatedStorage: Storage {
    public var executor: any SerialExecutor { thread }
    public var taskExecutor: any TaskExecutor { taskThread }
    public var ownTasksExecutor: (any TaskExecutor)? { taskThread }

    public func enqueue(_ work: @escaping @Sendable () -> Void) { thread.run(work) }

    public var ownedThreads: Int { thread.ownedThreads }

    public var clock: any WallClock { simulatedClock }

    public func randomIdentity() -> UInt64 {
        state.withLock { max(1, $0.kernel.disk.random.next()) }
    }

    public func open(
        _ path: StoragePath, _ mode: OpenMode
    ) async throws(StorageError) -> SimulatedFile {
        SimulatedFile(
            try withKernel { kernel throws(StorageError) in try kernel.open(path, mode) }, of: self)
    }

    public func createDirectory(_ path: StoragePath) async throws(StorageError) {
        try await perform([.mkdir], path) { kernel throws(StorageError) in
            try kernel.createDirectory(path)
        }
    }

    public func entries(
        of directory: StoragePath
    ) async throws(StorageError) -> [DirectoryEntry] {
        try withKernel { kernel throws(StorageError) in try kernel.entries(of: directory) }
    }

    public func rename(
        _ source: StoragePath, to target: StoragePath
    ) async throws(StorageError) {
        try await perform([.rename], source) { kernel throws(StorageError) in
            try kernel.rename(source, to: target)
        }
    }

    public func remove(_ path: StoragePath) async throws(StorageError) {
        try await perform([.unlink], path) { kernel throws(StorageError) in
            try kernel.remove(path)
        }
    }

    public func removeDirectory(_ path: StoragePath) async throws(StorageError) {
        try await perform([.rmdir], path) { kernel throws(StorageError) in
            try kernel.removeDirectory(path)
        }
    }

    public func syncDirectory(_ path: StoragePath) async throws(StorageError) {
        try await perform([.syncDirectory], path) { kernel throws(StorageError) in
            try kernel.syncDirectory(path)
        }
    }

    public func lock(_ path: StoragePath) async throws(StorageError) -> any StorageLock {
        SimulatedLock(
            try withKernel { kernel throws(StorageError) in try kernel.lock(path) }, of: self)
    }

    /// Runs `work` on the storage's thread, after the jobs that came before it.
    public func offload<Value: Sendable, Failure: Error>(
        _ work: @escaping @Sendable () throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let result: Result<Value, Failure> = await withCheckedContinuation { continuation in
            thread.run { continuation.resume(returning: Result(catching: work)) }
        }
        return try result.get()
    }
}

/// A lock on a file of a ``SimulatedStorage``, let go when released or by a crash.
final class SimulatedLock: StorageLock {
    private let handle: SimulatedKernel.Handle
    private let storage: SimulatedStorage

    init(_ handle: SimulatedKernel.Handle, of storage: SimulatedStorage) {
        self.handle = handle
        self.storage = storage
    }

    deinit { storage.state.withLock { $0.kernel.unlock(handle) } }
}
