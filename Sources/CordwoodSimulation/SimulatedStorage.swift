internal import CordwoodStorage
internal import Synchronization

/// A disk in memory that fails as real ones do, by seed: for tests of everything that keeps its
/// bytes in a ``Storage``.
///
/// It keeps what programs read and what a power cut leaves apart. ``crash(_:)`` cuts the power, after
/// which the same object is opened anew and holds what survived; ``inject(_:)`` makes operations
/// fail; ``holdCompletions(of:)`` stops time for writes; ``flip(_:byte:mask:)`` and its kin damage
/// what is stored. The same seed and the same operations give the same bytes, the same failures and
/// the same ``traceHash``.
///
/// Every operation takes effect at once, under a lock, without suspending; only a held one waits, and
/// with ``Scheduling/bySeed`` each that changes the disk. It owns no thread until something runs on
/// ``executor`` or in ``offload(_:)``, then one.
///
/// A program that runs on several threads repeats only as far as their race does. In ``run(_:)`` a
/// program on the storage itself has that one thread, and repeats whole, interleavings included.
///
/// ```swift
/// let storage = SimulatedStorage(seed: 7)
/// let file = try await storage.open(path, .create)
/// try await file.write([FileWrite(at: 0, [bytes])], thenSync: true)
/// storage.crash()
/// // The bytes survived; whether the name did, only syncDirectory would have made certain.
/// ```
public final class SimulatedStorage: Sendable {
    struct State {
        var kernel: SimulatedKernel
        var gate = HeldCompletions()
    }

    public let seed: UInt64
    public let scheduling: Scheduling
    /// The clock that it was made with, for tests to move.
    public let simulatedClock: SimulatedClock
    let thread: SimulatedExecutor
    let taskThread: SimulatedTaskExecutor
    let state: Mutex<State>

    /// An empty disk. `capacityBytes` is what all files together may hold; nil is no limit.
    public init(
        seed: UInt64, capacityBytes: Int? = nil, scheduling: Scheduling = .inOrder,
        clock: SimulatedClock = SimulatedClock()
    ) {
        self.seed = seed
        self.scheduling = scheduling
        simulatedClock = clock
        thread = SimulatedExecutor(scheduling, seed: seed)
        taskThread = SimulatedTaskExecutor(thread)
        var kernel = SimulatedKernel(seed: seed)
        kernel.disk.capacityBytes = capacityBytes
        state = Mutex(State(kernel: kernel))
    }

    /// Runs a program on the storage's one thread, with the tasks that it starts as children and the
    /// actors that have no executor of their own, so that the same seed gives the same run: the same
    /// interleavings, the same operations, the same ``traceHash``.
    ///
    /// A database in it is part of that. What leaves the thread does not repeat: detached tasks, tasks
    /// made with `Task`, and everything that waits for real time; nor does what depends on the order of
    /// a dictionary or a set, unless `SWIFT_DETERMINISTIC_HASHING` is set.
    public func run<Value: Sendable>(
        _ body: @Sendable () async throws -> Value
    ) async rethrows -> Value {
        try await withTaskExecutorPreference(taskThread) { try await body() }
    }

    func withKernel<Value>(
        _ body: (inout SimulatedKernel) throws(StorageError) -> sending Value
    ) throws(StorageError) -> sending Value {
        try state.withLock { state throws(StorageError) in try body(&state.kernel) }
    }

    /// Does an operation, unless its kind is held: then it waits at the gate, and whoever opens the
    /// gate does it.
    func perform(
        _ kinds: [OperationKind], _ path: StoragePath,
        _ body: @escaping @Sendable (inout SimulatedKernel) throws(StorageError) -> Void
    ) async throws(StorageError) {
        if scheduling == .bySeed {
            await withCheckedContinuation { continuation in
                thread.run { continuation.resume() }
            }
        }
        let apply: @Sendable (inout SimulatedKernel) -> HeldCompletions.Outcome = { kernel in
            Result { () throws(StorageError) in try body(&kernel) }
        }
        let immediate = state.withLock { state in
            state.gate.kinds.isDisjoint(with: kinds) ? apply(&state.kernel) : nil
        }
        if let immediate { return try immediate.get() }
        let outcome = await withCheckedContinuation { continuation in
            arrive(
                .init(apply: apply, path: path, kind: kinds[0], continuation: continuation), kinds)
        }
        try outcome.get()
    }

    /// Puts a call behind the gate, or does it where the gate was opened in the meantime.
    private func arrive(_ call: HeldCompletions.Held, _ kinds: [OperationKind]) {
        let (outcome, watchers) = state.withLock {
            state -> (HeldCompletions.Outcome?, [CheckedContinuation<Void, Never>]) in
            if state.gate.kinds.isDisjoint(with: kinds) {
                return (call.apply(&state.kernel), [])
            }
            state.gate.add(call)
            return (nil, state.gate.takeWatchers())
        }
        if let outcome { call.continuation.resume(returning: outcome) }
        for watcher in watchers { watcher.resume() }
    }
}
