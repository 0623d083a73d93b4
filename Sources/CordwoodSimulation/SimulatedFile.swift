public import CordwoodStorage
internal import Synchronization

/// An open file of a ``SimulatedStorage``. After a crash of the storage, and after ``close()``,
/// every call throws ``StorageError/Code/closed``.
public final class SimulatedFile: StorageFile {
    public let path: StoragePath
    private let handle: SimulatedKernel.Handle
    private let storage: SimulatedStorage
    private let isClosed = Atomic(false)

    init(_ handle: SimulatedKernel.Handle, of storage: SimulatedStorage) {
        path = handle.path
        self.handle = handle
        self.storage = storage
    }

    deinit { giveBack() }

    public func size() async throws(StorageError) -> Int {
        let handle = try openHandle("fstat")
        return try storage.withKernel { kernel throws(StorageError) in try kernel.size(handle) }
    }

    public func write(
        _ writes: [FileWrite], thenSync: Bool, inBackground: Bool
    ) async throws(StorageError) {
        for write in writes {
            precondition(write.position >= 0, "a write cannot begin at \(write.position)")
        }
        let handle = try openHandle("write")
        let kinds: [OperationKind] = thenSync ? [.write, .sync] : [.write]
        try await storage.perform(kinds, path) { kernel throws(StorageError) in
            try kernel.write(writes, thenSync: thenSync, handle)
        }
    }

    public func read(at position: Int, count: Int) async throws(StorageError) -> MemoryBlock {
        precondition(position >= 0 && count >= 0, "cannot read \(count) bytes at \(position)")
        let handle = try openHandle("read")
        return try storage.withKernel { kernel throws(StorageError) in
            try kernel.read(handle, at: position, count: count)
        }
    }

    public func sync() async throws(StorageError) {
        let handle = try openHandle("fdatasync")
        try await storage.perform([.sync], path) { kernel throws(StorageError) in
            try kernel.sync(handle)
        }
    }

    public func preallocate(to size: Int) async throws(StorageError) {
        precondition(size >= 0, "a file cannot have \(size) bytes")
        let handle = try openHandle("fallocate")
        try await storage.perform([.preallocate], path) { kernel throws(StorageError) in
            try kernel.preallocate(handle, to: size)
        }
    }

    /// A write of zeros like any other: it may be held, may fail, and is lost by a crash in part.
    public func writeZeros(_ range: Range<Int>) async throws(StorageError) {
        let alignment = Self.zeroAlignment
        precondition(
            range.lowerBound >= 0 && range.lowerBound % alignment == 0
                && range.upperBound % alignment == 0, "zeros are written by whole pages: \(range)")
        let zeros = MemoryBlock(copying: [UInt8](repeating: 0, count: range.count))
        try await write(
            [FileWrite(at: range.lowerBound, [MemorySlice(zeros)])], thenSync: false)
    }

    /// Nothing: what is written back without a sync is for ``SimulatedStorage/crash(_:)`` to choose.
    public func beginWriteback(_ range: Range<Int>) async {}

    public func truncate(to size: Int) async throws(StorageError) {
        precondition(size >= 0, "a file cannot have \(size) bytes")
        let handle = try openHandle("ftruncate")
        try await storage.perform([.truncate], path) { kernel throws(StorageError) in
            try kernel.truncate(handle, to: size)
        }
    }

    /// A copy of the first `count` bytes as they are now: later writes do not show in it.
    public func map(count: Int) async throws(StorageError) -> MemoryBlock {
        precondition(count >= 0, "cannot map \(count) bytes")
        let handle = try openHandle("mmap")
        return try storage.withKernel { kernel throws(StorageError) in
            try kernel.map(handle, count: count)
        }
    }

    public func close() async { giveBack() }

    private func giveBack() {
        if !isClosed.exchange(true, ordering: .acquiringAndReleasing) {
            storage.state.withLock { $0.kernel.close(handle) }
        }
    }

    private func openHandle(_ operation: String) throws(StorageError) -> SimulatedKernel.Handle {
        if isClosed.load(ordering: .acquiring) { throw handle.closed(operation) }
        return handle
    }
}
