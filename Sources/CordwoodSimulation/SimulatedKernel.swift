internal import CordwoodStorage

/// The system calls of the simulated machine: each is counted, traced and given the chance to fail,
/// then done on the disk. A value with synchronous methods.
///
/// A handle is good for one boot. ``crash(_:)`` begins the next one, and calls on handles of an
/// earlier boot throw ``StorageError/Code/closed``.
struct SimulatedKernel {
    var disk: SimulatedDisk
    var faults = FaultPlan()
    private(set) var trace = OperationTrace()
    private(set) var boot = 0
    /// The power is gone: nothing works until ``crash(_:)`` brings the machine up again.
    private(set) var isDown = false
    /// Locked files.
    private var locks: Set<Int> = []

    init(seed: UInt64) { disk = SimulatedDisk(seed: seed) }

    /// An open file: which one, since which boot, and whether it may be written.
    struct Handle {
        var file: Int
        var boot: Int
        var path: StoragePath
        var isWritable: Bool
    }

    // MARK: Names

    mutating func open(_ path: StoragePath, _ mode: OpenMode) throws(StorageError) -> Handle {
        try perform(.open, path) { kernel throws(StorageError) in
            let file = try kernel.disk.open(path, mode)
            kernel.disk.retain(file)
            var isWritable = true
            if case .read = mode { isWritable = false }
            return Handle(file: file, boot: kernel.boot, path: path, isWritable: isWritable)
        }
    }

    /// Gives back a handle; one of an earlier boot is gone already.
    mutating func close(_ handle: Handle) {
        if handle.boot == boot { disk.release(handle.file) }
    }

    mutating func createDirectory(_ path: StoragePath) throws(StorageError) {
        try perform(.mkdir, path) { kernel throws(StorageError) in
            try kernel.disk.createDirectory(path)
        }
    }

    mutating func removeDirectory(_ path: StoragePath) throws(StorageError) {
        try perform(.rmdir, path) { kernel throws(StorageError) in
            try kernel.disk.removeDirectory(path)
        }
    }

    mutating func entries(of path: StoragePath) throws(StorageError) -> [DirectoryEntry] {
        try perform(.getdents, path) { kernel throws(StorageError) in
            try kernel.disk.entries(of: path)
        }
    }

    mutating func rename(
        _ source: StoragePath, to target: StoragePath
    ) throws(StorageError) {
        trace.mix(target.description)
        try perform(.rename, source) { kernel throws(StorageError) in
            try kernel.disk.rename(source, to: target)
        }
    }

    mutating func remove(_ path: StoragePath) throws(StorageError) {
        try perform(.unlink, path) { kernel throws(StorageError) in
            try kernel.disk.remove(path)
        }
    }

    mutating func syncDirectory(_ path: StoragePath) throws(StorageError) {
        let node = disk.node(at: path)
        try perform(
            .syncDirectory, path,
            onFault: { kernel, fault throws(StorageError) in
                switch fault.problem {
                case .ignored: return
                case .inputOutput, .noSpace:
                    if case .directory(let number)? = node {
                        kernel.disk.failSyncDirectory(number)
                    }
                default: break
                }
                throw fault.error(.syncDirectory, path)
            },
            { kernel throws(StorageError) in
                kernel.disk.syncDirectory(try kernel.disk.directory(at: path, "fsync directory"))
            })
    }

    mutating func lock(_ path: StoragePath) throws(StorageError) -> Handle {
        try perform(.flock, path) { kernel throws(StorageError) in
            let file = try kernel.disk.open(path, .openOrCreate)
            guard kernel.locks.insert(file).inserted else {
                throw StorageError(.locked, operation: "flock", path: path.description)
            }
            kernel.disk.retain(file)
            return Handle(file: file, boot: kernel.boot, path: path, isWritable: true)
        }
    }

    mutating func unlock(_ handle: Handle) {
        if handle.boot == boot { locks.remove(handle.file) }
        close(handle)
    }

    // MARK: Contents

    mutating func size(_ handle: Handle) throws(StorageError) -> Int {
        try perform(.size, handle) { kernel throws(StorageError) in
            kernel.disk.size(of: handle.file)
        }
    }

    mutating func write(
        _ writes: [FileWrite], thenSync: Bool, _ handle: Handle
    ) throws(StorageError) {
        if handle.boot != boot { throw handle.closed("write") }
        for write in writes {
            trace.mix(UInt64(truncatingIfNeeded: write.position))
            for slice in write.slices { trace.mix(slice.unsafeBytes) }
        }
        // What a call leaves out is written by the next one, as the caller of a real kernel does.
        var left = writes
        repeat {
            left = left.dropping(try writeOnce(left, handle))
        } while left.contains { $0.count > 0 }
        if thenSync { try sync(handle) }
    }

    /// One call; returns how many bytes it took.
    private mutating func writeOnce(
        _ writes: [FileWrite], _ handle: Handle
    ) throws(StorageError) -> Int {
        let count = writes.reduce(0) { $0 + $1.count }
        return try perform(
            .write, handle, position: writes.first?.position ?? 0, count: count,
            onFault: { kernel, fault throws(StorageError) in
                try handle.checkWritable("write")
                switch fault.problem {
                case .ignored: return count
                case .interrupted: return 0
                case .cancelled: break
                case .misdirected:
                    kernel.disk.misdirect(writes, in: handle.file)
                    return count
                case .short:
                    let limit = count > 1 ? 1 + kernel.disk.random.below(count - 1) : count
                    return kernel.disk.write(writes, to: handle.file, atMost: limit)
                case .inputOutput, .noSpace, .powerCut:
                    // Some of it got there: how much is not for the caller to know.
                    let limit = kernel.disk.random.below(count + 1)
                    kernel.disk.write(writes, to: handle.file, atMost: limit)
                }
                throw fault.error(.write, handle.path)
            },
            { kernel throws(StorageError) in
                try handle.checkWritable("write")
                try kernel.disk.write(writes, to: handle.file, path: handle.path)
                return count
            })
    }

    mutating func sync(_ handle: Handle) throws(StorageError) {
        try perform(
            .sync, handle,
            onFault: { kernel, fault throws(StorageError) in
                switch fault.problem {
                case .ignored: return
                case .inputOutput, .noSpace: kernel.disk.files[handle.file]?.failSync()
                default: break
                }
                throw fault.error(.sync, handle.path)
            },
            { kernel throws(StorageError) in kernel.disk.files[handle.file]?.sync() })
    }

    mutating func read(
        _ handle: Handle, at position: Int, count: Int
    ) throws(StorageError) -> MemoryBlock {
        while true {
            let block: MemoryBlock? = try perform(
                .read, handle, position: position, count: count,
                onFault: { _, fault throws(StorageError) in
                    if fault.problem == .interrupted { return nil }
                    throw fault.error(.read, handle.path)
                },
                { kernel throws(StorageError) in
                    kernel.disk.read(handle.file, at: position, count: count)
                })
            if let block { return block }
        }
    }

    mutating func preallocate(_ handle: Handle, to size: Int) throws(StorageError) {
        try perform(.preallocate, handle, position: size) { kernel throws(StorageError) in
            try handle.checkWritable("fallocate")
            if size > kernel.disk.size(of: handle.file) {
                try kernel.disk.resize(handle.file, to: size, "fallocate", path: handle.path)
            }
        }
    }

    mutating func truncate(_ handle: Handle, to size: Int) throws(StorageError) {
        try perform(.truncate, handle, position: size) { kernel throws(StorageError) in
            try handle.checkWritable("ftruncate")
            try kernel.disk.resize(handle.file, to: size, "ftruncate", path: handle.path)
        }
    }

    mutating func map(_ handle: Handle, count: Int) throws(StorageError) -> MemoryBlock {
        try perform(.map, handle, count: count) { kernel throws(StorageError) in
            let size = kernel.disk.size(of: handle.file)
            if count > size {
                throw StorageError(
                    .failed, operation: "mmap", path: handle.path.description,
                    errno: Errno.invalidArgument,
                    detail: "expected a file of at least \(count) bytes, found \(size)")
            }
            return kernel.disk.read(handle.file, at: 0, count: count)
        }
    }

    // MARK: Failure

    mutating func crash(_ crash: Crash) {
        disk.crash(crash)
        boot += 1
        isDown = false
        locks = []
        trace.mix("crash \(crash)")
        trace.mix(disk.random.state)
    }

    private typealias OnFault<Value> =
        (inout SimulatedKernel, Fault) throws(StorageError) -> Value

    /// Counts, traces and does one operation, or does `onFault` where a fault is due; without it,
    /// the operation fails and does nothing.
    private mutating func perform<Value>(
        _ kind: OperationKind, _ path: StoragePath, position: Int = 0, count: Int = 0,
        onFault: OnFault<Value>? = nil,
        _ body: (inout SimulatedKernel) throws(StorageError) -> Value
    ) throws(StorageError) -> Value {
        // Not an operation of this machine any more: it is neither counted nor traced.
        if isDown { throw StorageError(.closed, operation: kind.rawValue, path: path.description) }
        var operation = TracedOperation(
            kind: kind, path: path.description, position: position, count: count)
        do throws(StorageError) {
            let value: Value
            if let fault = faults.next(kind) {
                isDown = fault.problem == .powerCut
                guard let onFault else { throw fault.error(kind, path) }
                value = try onFault(&self, fault)
            } else {
                value = try body(&self)
            }
            trace.record(operation)
            return value
        } catch {
            operation.failure = error.code
            trace.record(operation)
            throw error
        }
    }

    /// The same for an operation on an open file, which must be of this boot.
    private mutating func perform<Value>(
        _ kind: OperationKind, _ handle: Handle, position: Int = 0, count: Int = 0,
        onFault: OnFault<Value>? = nil,
        _ body: (inout SimulatedKernel) throws(StorageError) -> Value
    ) throws(StorageError) -> Value {
        // Not an operation of this boot: it is neither counted nor traced.
        if handle.boot != boot { throw handle.closed(kind.rawValue) }
        return try perform(
            kind, handle.path, position: position, count: count, onFault: onFault, body)
    }
}

extension SimulatedKernel.Handle {
    func closed(_ operation: String) -> StorageError {
        StorageError(.closed, operation: operation, path: path.description)
    }

    fileprivate func checkWritable(_ operation: String) throws(StorageError) {
        if isWritable { return }
        throw StorageError(
            .failed, operation: operation, path: path.description, errno: Errno.badDescriptor,
            detail: "opened for reading only")
    }
}

extension [FileWrite] {
    /// What is left of the writes behind their first `count` bytes.
    fileprivate func dropping(_ count: Int) -> [FileWrite] {
        var left = count
        return compactMap { write in
            if left >= write.count {
                left -= write.count
                return nil
            }
            defer { left = 0 }
            return write.dropping(left)
        }
    }
}

extension FileWrite {
    fileprivate func dropping(_ count: Int) -> FileWrite {
        var left = count
        let slices = slices.compactMap { slice -> MemorySlice? in
            let cut = Swift.min(left, slice.count)
            left -= cut
            if cut == slice.count { return nil }
            return MemorySlice(slice.block, slice.range.lowerBound + cut..<slice.range.upperBound)
        }
        return FileWrite(at: position + count, slices)
    }
}
