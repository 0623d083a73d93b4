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

    /// Never inlined: the switch to the gate is what waits, and must not be optimised away.
    @inline(never)
    private func result() -> Result<Value, StorageError> { gate.takeResult() }
}

/// The executor of one ``Completion``: it takes one job, starts the operation then, and runs the
/// job when the operation has finished.
///
/// `@unchecked Sendable`: the caller fills it, hands it to the loop with the operation, and gets it
/// back when the loop runs the job; at no time do two of them touch it.
final class CompletionGate<Value: Sendable>: SerialExecutor, @unchecked Sendable {
    private let loop: any FileLoop
    private var operation: (any FileOperation)?
    private var job: UnownedJob?
    private var result: Result<Value, StorageError>?

    fileprivate init(loop: any FileLoop) { self.loop = loop }

    fileprivate func hold(_ operation: any FileOperation) { self.operation = operation }

    func enqueue(_ job: consuming ExecutorJob) {
        self.job = UnownedJob(job)
        guard let operation = operation.take() else {
            preconditionFailure("a completion is awaited once")
        }
        loop.start(operation)
    }

    /// Called by the operation, once, when it has finished. The operation keeps the gate alive.
    func open(_ result: Result<Value, StorageError>) {
        guard let job = job.take() else {
            preconditionFailure("an operation finishes once, and not before it was started")
        }
        self.result = result
        job.runSynchronously(on: asUnownedSerialExecutor())
    }

    fileprivate func takeResult() -> Result<Value, StorageError> {
        guard let result = result.take() else {
            preconditionFailure("the result is taken after the operation, once")
        }
        return result
    }
}
