import CLiburing

/// One thing to ask of the kernel, on the descriptor of its operation.
enum FileStep {
    /// Write gathered bytes at a position.
    case write(vectors: UnsafePointer<iovec>, count: Int, position: Int)
    /// Read into memory from a position.
    case read(into: UnsafeMutableRawPointer, count: Int, position: Int)
    /// fdatasync.
    case sync
}

/// A request on an open file that its runner, a ring or a worker thread, takes through one or more
/// chains of steps.
///
/// A chain runs in order, and stops at the first step that fails or is cut short: what follows it
/// in the chain is recorded as cancelled. The operation then says whether another chain is needed.
/// The operation keeps alive all the memory that its steps name.
///
/// Exactly one runner holds an operation, from ``FileLoop/start(_:)`` until it has finished.
protocol FileOperation: AnyObject, Sendable {
    var descriptor: FileDescriptor { get }

    /// The bytes it moves, where it can be expected to be over soon on any thread: see
    /// ``DirectRuns``. Nil for what may wait long, as a read from a cold file or a sync of much.
    var quickByteCount: Int? { get }

    /// Whether it prepares for later and nobody's progress waits for it.
    var isBackground: Bool { get }

    /// Begins a chain of at most `limit` steps (at least 2). Empty only where nothing is to do.
    func nextChain(limit: Int) -> [FileStep]

    /// Notes how a step of the chain ended: bytes moved, or a negated error number.
    func record(step: Int, result: Int)

    /// Notes that the kernel may have taken the chain in two parts, so that its order is unknown.
    func markSplit()

    /// Ends the chain, all of whose steps are recorded. True when the operation is finished, and
    /// has resumed its waiter; false when it needs another chain.
    func endChain() -> Bool
}

/// Runs file operations, and is the executor to which their waiters may be isolated.
///
/// Its thread ends when the last reference is gone and all operations have finished.
protocol FileLoop: SerialExecutor {
    /// Threads that this loop has started, itself included.
    var threadCount: Int { get }

    /// Takes over an operation. May be called on any thread; never blocks.
    func start(_ operation: any FileOperation)

    /// Queues a job for the loop's thread, behind those that are there.
    func add(_ job: QueuedJob)
}

/// Something that waits for its turn on a loop's thread.
enum QueuedJob: Sendable {
    /// The executor is kept alive until the job has run: the runtime itself holds executors without
    /// counting.
    case job(UnownedJob, any FileLoop)
    case taskJob(UnownedJob, LoopTaskExecutor)
    case work(@Sendable () -> Void)

    func run() {
        switch self {
        case .job(let job, let loop):
            job.runSynchronously(on: loop.asUnownedSerialExecutor())
        case .taskJob(let job, let executor):
            job.runSynchronously(on: executor.asUnownedTaskExecutor())
        case .work(let work): work()
        }
    }
}

/// A loop's thread as an executor of whole tasks.
///
/// Not the loop itself: a job that an actor runs there has no preference for a task's executor, and
/// one that is run as if it had is sent through the queue again at every call.
final class LoopTaskExecutor: TaskExecutor {
    private let loop: any FileLoop

    init(_ loop: any FileLoop) { self.loop = loop }

    func enqueue(_ job: consuming ExecutorJob) { loop.add(.taskJob(UnownedJob(job), self)) }
}
