internal import CordwoodStorage
internal import Synchronization

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// The order in which a ``SimulatedStorage`` runs what is ready to run on its thread.
public enum Scheduling: Sendable, Hashable {
    /// As it came. What changes the disk does so in the call that asks for it.
    case inOrder
    /// By seed, any that is ready. What changes the disk waits for its turn, too, so writes, syncs
    /// and renames that are on their way at the same time are done and completed in any order.
    case bySeed
}

/// One thread that runs jobs one after the other. Started with the first job, and ended once the
/// executor is released and the jobs are done.
final class SimulatedExecutor: SerialExecutor {
    private let queue: JobQueue

    init(_ scheduling: Scheduling, seed: UInt64) {
        queue = JobQueue(scheduling == .bySeed ? SplitMix64(seed: seed) : nil)
    }

    /// 1 once the thread has started.
    var ownedThreads: Int { queue.ownedThreads }

    deinit { queue.finish() }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        // The job keeps the executor: it must not go while one of its jobs runs.
        queue.add { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
    }

    func isIsolatingCurrentContext() -> Bool? { queue.isCurrentThread }

    func checkIsolated() {
        precondition(queue.isCurrentThread, "not on the thread of the simulated storage")
    }

    /// Runs `work` on the thread when its turn comes.
    func run(_ work: @escaping @Sendable () -> Void) { queue.add(work) }
}

/// The thread of a ``SimulatedExecutor`` for whole tasks.
final class SimulatedTaskExecutor: TaskExecutor {
    private let thread: SimulatedExecutor

    init(_ thread: SimulatedExecutor) { self.thread = thread }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        thread.run { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}

/// The queue between everyone and the thread. It outlives the executor, since the thread has it.
///
/// `@unchecked Sendable`: all state is touched with `mutex` locked. A POSIX pair and not `Mutex`,
/// because the thread sleeps on a condition.
private final class JobQueue: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var jobs: [@Sendable () -> Void] = []
    private var thread: pthread_t?
    private var isFinished = false
    /// Chooses whose turn it is; nil takes them as they came.
    private var random: SplitMix64?

    init(_ random: SplitMix64?) {
        self.random = random
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    var ownedThreads: Int {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return thread == nil ? 0 : 1
    }

    var isCurrentThread: Bool {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return thread.map { pthread_equal($0, pthread_self()) != 0 } ?? false
    }

    func add(_ job: @escaping @Sendable () -> Void) {
        pthread_mutex_lock(mutex)
        jobs.append(job)
        if thread == nil { start() }
        pthread_cond_signal(condition)
        pthread_mutex_unlock(mutex)
    }

    func finish() {
        pthread_mutex_lock(mutex)
        isFinished = true
        pthread_cond_signal(condition)
        pthread_mutex_unlock(mutex)
    }

    private func start() {
        var thread = pthread_t()
        let argument = Unmanaged.passRetained(self).toOpaque()
        let status = pthread_create(
            &thread, nil,
            { argument in
                Unmanaged<JobQueue>.fromOpaque(argument!).takeRetainedValue().runAll()
                return nil
            }, argument)
        precondition(status == 0, "cannot start the thread of a simulated storage: \(status)")
        pthread_detach(thread)
        self.thread = thread
    }

    private func runAll() {
        while let batch = next() { for job in batch { job() } }
    }

    /// Waits for jobs; nil when there are none and none will come.
    private func next() -> [@Sendable () -> Void]? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while jobs.isEmpty {
            if isFinished { return nil }
            pthread_cond_wait(condition, mutex)
        }
        guard random != nil else {
            defer { jobs = [] }
            return jobs
        }
        return [jobs.remove(at: random!.below(jobs.count))]
    }
}
