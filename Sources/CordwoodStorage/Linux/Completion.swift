import Synchronization

/// Where a caller waits for a file operation.
///
/// A continuation would do, but the runtime resumes one on the global pool first and only then
/// switches to the caller's executor: two thread wake-ups more for every write of an actor that
/// runs on a storage's own executor. Here the caller calls into an actor whose executor is a
/// ``CompletionGate``: the gate keeps the call until the operation has finished, runs it on the
/// loop's thread, and the caller goes on from there on its own executor, directly.
actor Completion<Value: Sendable> {
    private nonisolated let gate: CompletionGate<Value>

    nonisolated var unownedExecutor: UnownedSerialExecutor { gate.asUnownedSerialExecutor() }

    private init(gate: CompletionGate<Value>) { self.gate = gate }

    /// Starts the operation that `make` builds and returns its result when it has finished.
    nonisolated static func of(
        on loop: any FileLoop, _ make: (CompletionGate<Value>) -> any FileOperation
    ) async -> Result<Value, StorageError> {
        let gate = CompletionGate<Value>(loop: loop)
        gate.hold(make(gate))
        return await Completion(gate: gate).result()
    }

    /// Starts the operation, at once where the loop can, does `work`, and returns the operation's
    /// result when it has finished.
    nonisolated static func of(
        on loop: any FileLoop, meanwhile work: () -> Void,
        _ make: (CompletionGate<Value>) -> any FileOperation
    ) async -> Result<Value, StorageError> {
        let gate = CompletionGate<Value>(loop: loop)
        loop.startAtOnce(make(gate))
        work()
        return await Completion(gate: gate).result()
    }

    /// Never inlined: the switch to the gate is what waits, and must not be optimised away.
    @inline(never)
    private func result() -> Result<Value, StorageError> { gate.takeResult() }
}

/// The executor of one ``Completion``: it takes one job, starts the operation then where that was
/// not started before, and has the job run on the loop's thread when the operation has finished.
final class CompletionGate<Value: Sendable>: SerialExecutor, Sendable {
    private enum State {
        /// Nothing has come yet; the operation is to be started by the job, where there is one.
        case empty(any FileOperation)
        case started
        case waits(UnownedJob)
        case finished(Result<Value, StorageError>)
        case taken
    }

    private let loop: any FileLoop
    private let state = Mutex<State>(.started)

    fileprivate init(loop: any FileLoop) { self.loop = loop }

    fileprivate func hold(_ operation: any FileOperation) {
        state.withLock { $0 = .empty(operation) }
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let (operation, isFinished) = state.withLock { state -> ((any FileOperation)?, Bool) in
            switch state {
            case .empty(let operation):
                state = .waits(job)
                return (operation, false)
            case .started:
                state = .waits(job)
                return (nil, false)
            case .finished: return (nil, true)
            case .waits, .taken: preconditionFailure("a completion is awaited once")
            }
        }
        if let operation { loop.start(operation) }
        if isFinished { loop.add(.job(job, self)) }
    }

    /// Called by the operation, once, when it has finished. The operation keeps the gate alive.
    func open(_ result: Result<Value, StorageError>) {
        let job = state.withLock { state -> UnownedJob? in
            defer { state = .finished(result) }
            switch state {
            case .waits(let job): return job
            case .started: return nil
            case .empty, .finished, .taken:
                preconditionFailure("an operation finishes once, and not before it was started")
            }
        }
        guard let job else { return }
        if loop.isCurrent {
            job.runSynchronously(on: asUnownedSerialExecutor())
        } else {
            loop.add(.job(job, self))
        }
    }

    fileprivate func takeResult() -> Result<Value, StorageError> {
        state.withLock { state in
            guard case .finished(let result) = state else {
                preconditionFailure("the result is taken after the operation, once")
            }
            state = .taken
            return result
        }
    }
}
