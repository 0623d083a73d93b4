public import CordwoodStorage
internal import Synchronization

/// What only tests can do: power cuts, faults, damage, and a look at what is stored.
extension SimulatedStorage {
    // MARK: Crashes

    /// Goes down and comes up again, with what `crash` lets survive. Open files and locks are dead:
    /// their calls throw ``StorageError/Code/closed``, held ones included. Capacity, faults, gate
    /// and counters stay as they are.
    ///
    /// A held call may have reached the disk before the power went: by seed it is done first, but
    /// for ``Crash/dropUnsynced``, and in each case its caller never learns of it.
    public func crash(_ crash: Crash = .bySeed) {
        let dead = state.withLock { state in
            let dead = state.gate.takeFirst(.max)
            for call in dead where crash != .dropUnsynced && state.kernel.disk.random.coin() {
                _ = call.apply(&state.kernel)
            }
            state.kernel.crash(crash)
            return dead
        }
        for call in dead {
            call.continuation.resume(
                returning: .failure(
                    StorageError(
                        .closed, operation: call.kind.rawValue, path: call.path.description,
                        detail: "the machine went down")))
        }
    }

    /// Forgets clean cached pages, as memory pressure does: contents that a failed sync lost are
    /// read from the disk again.
    public func dropCaches() {
        state.withLock { state in
            for number in state.kernel.disk.files.keys {
                state.kernel.disk.files[number]?.dropCleanPages()
            }
        }
    }

    // MARK: Faults

    /// Makes an operation to come fail. Several faults may be armed; each counts for itself. After a
    /// ``Fault/Problem/powerCut`` nothing works until ``crash(_:)``.
    public func inject(_ fault: Fault) { state.withLock { $0.kernel.faults.add(fault) } }

    /// Whether a ``Fault/Problem/powerCut`` has struck and no ``crash(_:)`` has followed yet.
    public var isDown: Bool { state.withLock { $0.kernel.isDown } }

    /// Disarms all faults. What has failed stays failed.
    public func clearFaults() { state.withLock { $0.kernel.faults.clear() } }

    /// What all files together may hold; nil is no limit. Below what they hold, nothing can grow.
    public var capacityBytes: Int? {
        get { state.withLock { $0.kernel.disk.capacityBytes } }
        set { state.withLock { $0.kernel.disk.capacityBytes = newValue } }
    }

    /// What all files that have a name or are open hold together.
    public var usedBytes: Int { state.withLock { $0.kernel.disk.usedBytes } }

    // MARK: Damage

    /// Inverts the bits of `mask` in one byte, cached and durable, without a trace.
    /// Throws ``StorageError/Code/notFound`` where there is no such file.
    public func flip(_ path: StoragePath, byte: Int, mask: UInt8 = 1) throws(StorageError) {
        precondition(byte >= 0 && mask != 0, "nothing to flip at byte \(byte) with mask \(mask)")
        try damage(path) { $0.flip($1, byte: byte, mask: mask) }
    }

    /// Zeroes a range, cached and durable: a lost sector, an erased block.
    public func zero(_ path: StoragePath, _ range: Range<Int>) throws(StorageError) {
        precondition(range.lowerBound >= 0, "nothing to zero at \(range.lowerBound)")
        try damage(path) { $0.zero($1, range) }
    }

    /// Cuts a file to `size`, cached and durable; a shorter one stays as it is.
    public func cut(_ path: StoragePath, to size: Int) throws(StorageError) {
        precondition(size >= 0, "a file cannot have \(size) bytes")
        try damage(path) { $0.cut($1, to: size) }
    }

    private func damage(
        _ path: StoragePath, _ body: (inout SimulatedDisk, Int) -> Void
    ) throws(StorageError) {
        try withKernel { kernel throws(StorageError) in
            body(&kernel.disk, try kernel.disk.file(at: path, "damage"))
        }
    }

    // MARK: A look inside

    /// What a program would read, or nil where there is no such file. Not counted or traced.
    public func contents(of path: StoragePath) -> [UInt8]? {
        state.withLock { state in
            let disk = state.kernel.disk
            guard case .file(let number)? = disk.node(at: path) else { return nil }
            return disk.files[number]?.cached.array
        }
    }

    /// What ``Crash/dropUnsynced`` would leave, or nil where the name is not durable.
    public func durableContents(of path: StoragePath) -> [UInt8]? {
        state.withLock { state in
            let disk = state.kernel.disk
            guard case .file(let number)? = disk.node(at: path, durable: true) else { return nil }
            return disk.files[number]?.durable.array
        }
    }

    /// All files that programs see, sorted.
    public var files: [StoragePath] { state.withLock { $0.kernel.disk.paths() } }

    /// How often each operation was asked for.
    public var counts: OperationCounts { state.withLock { $0.kernel.trace.counts } }

    /// The operations so far, in order; of very many, the latest 65,536 at least.
    public var trace: [TracedOperation] { state.withLock { $0.kernel.trace.operations } }

    /// A hash over all operations, the bytes that they wrote, how they failed, and what crashes
    /// left. Equal for equal seeds and operations.
    public var traceHash: UInt64 { state.withLock { $0.kernel.trace.hash } }
}
