import Glibc
import Synchronization

/// A serial executor on a plain thread, whose file operations run on a few worker threads: what
/// serves where io_uring is refused. Same contract as ``RingExecutor``.
final class ThreadExecutor: FileLoop {
    /// Operations that may block in the kernel at the same time.
    static let workerCount = 4

    private struct Queue {
        var jobs: [QueuedJob] = []
        var isStopping = false
    }

    /// What the thread shares with the executor, which it must not hold.
    private final class Shared: Sendable {
        let queue = Condition(Queue())
        let thread = Atomic<UInt>(0)
    }

    private let shared = Shared()
    private let workers: WorkerPool

    var threadCount: Int { 1 + workers.threadCount }

    /// Starts the threads; throws the kernel's number where there are too few to give.
    init() throws(Errno) {
        workers = try WorkerPool(named: "cordwood-io", threadCount: Self.workerCount)
        try SystemThread.start(named: "cordwood-loop") { [shared] in Self.serve(shared) }
    }

    deinit { shared.queue.updateAndWakeAll { $0.isStopping = true } }

    func enqueue(_ job: consuming ExecutorJob) {
        add(.job(UnownedJob(job), self))
    }

    func add(_ job: QueuedJob) {
        shared.queue.update {
            $0.jobs.append(job)
            return true
        }
    }

    func isIsolatingCurrentContext() -> Bool? {
        shared.thread.load(ordering: .relaxed) == UInt(pthread_self())
    }

    func start(_ operation: any FileOperation) {
        workers.submit { operation.runBlocking() }
    }

    private static func serve(_ shared: Shared) {
        shared.thread.store(UInt(pthread_self()), ordering: .relaxed)
        var jobs: [QueuedJob] = []
        while true {
            let isEnd = shared.queue.wait { queue -> Bool? in
                if queue.jobs.isEmpty { return queue.isStopping ? true : nil }
                swap(&queue.jobs, &jobs)
                return false
            }
            if isEnd { return }
            for job in jobs { job.run() }
            jobs.removeAll(keepingCapacity: true)
        }
    }
}
