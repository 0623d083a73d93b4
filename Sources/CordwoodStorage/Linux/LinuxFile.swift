import Glibc
import Synchronization

/// An open regular file of a ``LinuxStorage``.
///
/// Writes, reads and syncs run on the storage's ring or its I/O threads, the rest on its file
/// workers. An actor isolated to the storage's executor submits them without a system call of its
/// own and goes on after them on the same thread.
public final class LinuxFile: StorageFile {
    public let path: StoragePath

    let workers: WorkerPool
    let loop: any FileLoop
    private let descriptor: Mutex<FileDescriptor?>
    /// The same file past the system's cache, once zeros were written to it.
    let directDescriptor = Mutex<FileDescriptor?>(nil)

    init(
        path: StoragePath, descriptor: FileDescriptor, loop: any FileLoop, workers: WorkerPool
    ) {
        self.path = path
        self.loop = loop
        self.workers = workers
        self.descriptor = Mutex(descriptor)
    }

    // Closing frees the blocks of a file that was removed, which takes long for a large one: it is
    // done on a worker thread, which then holds the last reference.
    deinit {
        let direct = directDescriptor.withLock { $0.take() }
        if let descriptor = takeDescriptor() { workers.submit { _ = (descriptor, direct) } }
    }

    public func size() async throws(StorageError) -> Int {
        let descriptor = try openDescriptor("fstat")
        return try await workers.run { [path] () throws(StorageError) in
            try Self.size(descriptor, path)
        }
    }

    public func write(
        _ writes: [FileWrite], thenSync: Bool, inBackground: Bool
    ) async throws(StorageError) {
        let descriptor = try openDescriptor("write")
        let result = await Completion<Void>.of(on: loop) { waiter in
            WriteOperation(
                writes, thenSync: thenSync, descriptor: descriptor, path: path, waiter: waiter,
                isBackground: inBackground)
        }
        try result.get()
    }

    public func read(at position: Int, count: Int) async throws(StorageError) -> MemoryBlock {
        precondition(position >= 0 && count >= 0, "cannot read \(count) bytes at \(position)")
        let descriptor = try openDescriptor("read")
        if count == 0 { return MemoryBlock(count: 0) }
        let result = await Completion<MemoryBlock>.of(on: loop) { waiter in
            ReadOperation(
                at: position, count: count, descriptor: descriptor, path: path, waiter: waiter)
        }
        return try result.get()
    }

    public func sync() async throws(StorageError) { try await write([], thenSync: true) }

    /// Calls that have begun complete first; the descriptor is closed after the last of them.
    /// Later calls throw `.closed`. Closing twice is harmless.
    public func close() async {
        guard let descriptor = takeDescriptor() else { return }
        let direct = directDescriptor.withLock { $0.take() }
        await workers.run { _ = (descriptor, direct) }
    }

    func openDescriptor(_ operation: String) throws(StorageError) -> FileDescriptor {
        guard let descriptor = descriptor.withLock({ $0 }) else {
            throw StorageError(.closed, operation: operation, path: path.description)
        }
        return descriptor
    }

    private func takeDescriptor() -> FileDescriptor? { descriptor.withLock { $0.take() } }

    static func size(
        _ descriptor: FileDescriptor, _ path: StoragePath
    ) throws(StorageError) -> Int {
        var status = stat()
        try check(path, "fstat") { fstat(descriptor.number, &status) }
        return Int(status.st_size)
    }
}
