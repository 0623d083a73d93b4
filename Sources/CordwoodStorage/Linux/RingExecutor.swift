import CLiburing
import Glibc
import Synchronization

/// A serial executor whose one thread also owns an io_uring.
///
/// The thread runs queued jobs, submits what they asked for with one system call, and resumes the
/// waiters of what has completed; see ``RingLoop``. Releasing the executor ends the thread, once
/// everything in flight has completed.
final class RingExecutor: FileLoop {
    private let inbox: RingInbox

    var threadCount: Int { 1 }

    /// Starts the thread and its ring; throws the kernel's number where either is refused.
    init() async throws(Errno) {
        let inbox = try RingInbox()
        self.inbox = inbox
        // The ring is made on the thread that will use it, which lets the kernel skip its locks.
        let started: Result<Void, Errno> = await withCheckedContinuation { continuation in
            do throws(Errno) {
                try SystemThread.start(named: "cordwood-ring") {
                    inbox.adoptCurrentThread()
                    do throws(Errno) {
                        var loop = RingLoop(ring: try Ring(), inbox: inbox)
                        continuation.resume(returning: .success(()))
                        loop.run()
                    } catch {
                        continuation.resume(returning: .failure(error))
                    }
                }
            } catch {
                continuation.resume(returning: .failure(error))
            }
        }
        try started.get()
    }

    deinit { inbox.stop() }

    func enqueue(_ job: consuming ExecutorJob) {
        add(.job(UnownedJob(job), self))
    }

    func add(_ job: QueuedJob) { inbox.add(job) }

    func isIsolatingCurrentContext() -> Bool? { inbox.isCurrentThread }

    func start(_ operation: any FileOperation) { inbox.add(operation) }
}

/// What other threads, and the loop's own jobs, hand to a ``RingLoop``.
///
/// A system call wakes the loop only while it sleeps in the kernel: its own thread never pays for
/// one, and of many additions from outside the first alone does.
final class RingInbox: Sendable {
    struct Contents {
        var jobs: [QueuedJob] = []
        var operations: [any FileOperation] = []
        var isStopping = false
        fileprivate var loopSleeps = false

        var isEmpty: Bool { jobs.isEmpty && operations.isEmpty }
    }

    // Nobody waits for this condition. It is a lock of the system's, which the thread sanitizer
    // sees; Synchronization.Mutex would make it report races that are none.
    private let contents = Condition(Contents())
    private let thread = Atomic<UInt>(0)

    /// An eventfd; the loop keeps a read of it armed in its ring.
    let wakeDescriptor: FileDescriptor

    init() throws(Errno) {
        let number = try systemCall { cordwood_eventfd() }.get()
        wakeDescriptor = FileDescriptor(adopting: number)
    }

    func adoptCurrentThread() { thread.store(UInt(pthread_self()), ordering: .relaxed) }

    var isCurrentThread: Bool { thread.load(ordering: .relaxed) == UInt(pthread_self()) }

    func add(_ job: QueuedJob) {
        let wakes = contents.withLock {
            $0.jobs.append(job)
            return $0.loopSleeps.take()
        }
        if wakes { wake() }
    }

    func add(_ operation: any FileOperation) {
        let wakes = contents.withLock {
            $0.operations.append(operation)
            return $0.loopSleeps.take()
        }
        if wakes { wake() }
    }

    /// Asks the loop to end. It always gets a wake-up, so that its armed read completes.
    func stop() {
        contents.withLock { $0.isStopping = true }
        wake()
    }

    /// Exchanges the queued jobs against an empty array, whose memory is used again.
    func take(jobs: inout [QueuedJob]) {
        contents.withLock { swap(&$0.jobs, &jobs) }
    }

    /// Exchanges the started operations against an empty array, whose memory is used again.
    func take(operations: inout [any FileOperation]) {
        contents.withLock { swap(&$0.operations, &operations) }
    }

    /// Returns as soon as something was added, or when the time is over.
    func waitBriefly(nanoseconds: UInt64) {
        let end = SystemClock.nanoseconds + nanoseconds
        while contents.withLock({ $0.isEmpty }) && SystemClock.nanoseconds < end {
            for _ in 0..<16 { cordwood_pause() }
        }
    }

    /// True when the loop may sleep: nothing was added; whoever adds something now wakes it.
    func prepareToSleep() -> Bool {
        contents.withLock {
            $0.loopSleeps = $0.isEmpty
            return $0.loopSleeps
        }
    }

    /// The loop is back from the kernel, so that additions need not wake it.
    func noteAwake() { contents.withLock { $0.loopSleeps = false } }

    var isStopping: Bool { contents.withLock { $0.isStopping } }

    private func wake() {
        // Adding 1 to an eventfd fails only when 2^64 - 2 wake-ups are pending.
        let result = systemCall { cordwood_eventfd_wake(wakeDescriptor.number) }
        if case .failure(let error) = result {
            preconditionFailure("waking the ring failed with errno \(error.number)")
        }
    }
}

extension Bool {
    /// Returns the value and leaves false.
    fileprivate mutating func take() -> Bool {
        defer { self = false }
        return self
    }
}
