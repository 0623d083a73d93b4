import CLiburing
import Glibc

/// An io_uring: the thin wrapper over liburing. Made and used on one thread, or by one after another.
struct Ring: ~Copyable {
    /// Room for steps that are prepared and not yet submitted; also the longest chain, together
    /// with ``completionCapacity`` the bound on what is in flight.
    static let submissionCapacity = 256
    /// Room for completions that were not yet seen.
    static let completionCapacity = 1024
    private static let completionBatch = 64

    struct Completion {
        var tag: UInt64
        var result: Int32
    }

    // liburing keeps pointers into itself, so its struct must not move.
    private let ring: UnsafeMutablePointer<io_uring>
    private let batch: UnsafeMutablePointer<UnsafeMutablePointer<io_uring_cqe>?>

    /// Sets up a ring with the best flags that the kernel accepts, and makes sure that it knows
    /// the operations used here. ENOSYS or EPERM where io_uring is missing or forbidden.
    ///
    /// A ring that `movesBetweenThreads` does without what the kernel makes faster for a single one.
    init(
        submissionCapacity: Int = Self.submissionCapacity,
        completionCapacity: Int = Self.completionCapacity, movesBetweenThreads: Bool = false
    ) throws(Errno) {
        let ring = UnsafeMutablePointer<io_uring>.allocate(capacity: 1)
        var status: Int32 = 0
        let first = movesBetweenThreads ? cordwood_uring_first_setup_for_threads : 0
        for attempt in first..<cordwood_uring_setup_attempts {
            ring.initialize(to: io_uring())
            var parameters = io_uring_params()
            parameters.flags = cordwood_uring_setup_flags(attempt)
            parameters.cq_entries = UInt32(completionCapacity)
            status = io_uring_queue_init_params(UInt32(submissionCapacity), ring, &parameters)
            // EINVAL means a flag that this kernel does not know: ask for less.
            if status != -EINVAL { break }
        }
        guard status == 0 else {
            ring.deallocate()
            throw Errno(-status)
        }
        guard cordwood_uring_has_operations(ring) == 1 else {
            io_uring_queue_exit(ring)
            ring.deallocate()
            throw Errno(ENOSYS)
        }
        self.ring = ring
        batch = .allocate(capacity: Self.completionBatch)
        // Saves the lookup of the ring's descriptor at every submission, where the kernel can; it is
        // known to the thread that registers it alone.
        if !movesBetweenThreads { _ = io_uring_register_ring_fd(ring) }
    }

    deinit {
        io_uring_queue_exit(ring)
        ring.deallocate()
        batch.deallocate()
    }

    /// Steps that can be prepared before the next submission.
    var freeSubmissions: Int { Int(io_uring_sq_space_left(ring)) }

    /// Steps that are prepared and not yet taken by the kernel.
    var preparedSubmissions: Int { Int(io_uring_sq_ready(ring)) }

    /// Prepares a step; `linked` makes the next one wait for its full success. There must be room.
    func prepare(_ step: FileStep, on descriptor: Int32, tag: UInt64, linked: Bool) {
        guard let entry = io_uring_get_sqe(ring) else {
            preconditionFailure("a step was prepared without room for it")
        }
        switch step {
        case .write(let vectors, let count, let position):
            cordwood_uring_prepare_writev(
                entry, descriptor, vectors, UInt32(count), UInt64(position), tag, linked)
        case .read(let base, let count, let position):
            cordwood_uring_prepare_read(
                entry, descriptor, base, UInt32(count), UInt64(position), tag, linked)
        case .sync:
            cordwood_uring_prepare_datasync(entry, descriptor, tag, linked)
        }
    }

    /// Hands what is prepared to the kernel and, when `waits`, blocks until something completed.
    ///
    /// The kernel may take only a part of it when it is short of memory or interrupted: the rest
    /// stays in ``preparedSubmissions`` for the next call.
    func submit(waits: Bool) {
        let status =
            waits ? io_uring_submit_and_wait(ring, 1) : io_uring_submit_and_get_events(ring)
        switch -status {
        case ...0, EINTR, EBUSY: return
        // Short of memory: give way to whoever may free some, then the caller comes again.
        case EAGAIN, ENOMEM: usleep(1000)
        default:
            // What is in flight reads and writes our memory and cannot be accounted for any more.
            preconditionFailure("io_uring_enter failed with errno \(-status)")
        }
    }

    /// Takes the completions that are there, and calls `body` with each.
    func reap(_ body: (Completion) -> Void) {
        while true {
            let count = io_uring_peek_batch_cqe(ring, batch, UInt32(Self.completionBatch))
            if count == 0 { return }
            for index in 0..<Int(count) {
                guard let entry = batch[index] else { continue }
                body(Completion(tag: entry.pointee.user_data, result: entry.pointee.res))
            }
            io_uring_cq_advance(ring, count)
        }
    }
}
