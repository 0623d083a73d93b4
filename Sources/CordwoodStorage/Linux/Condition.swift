import Glibc

/// A value behind a lock, with a condition that threads can wait for.
///
/// For the engine's own threads, which have nothing else to do while they wait. Tasks never wait
/// here; they take the lock only to add work.
///
/// `@unchecked Sendable`: `value` is only reached while the mutex is held.
final class Condition<Value>: @unchecked Sendable {
    // The system's objects must not move, so they live in memory of their own.
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private var value: Value

    init(_ value: sending Value) {
        self.value = value
        mutex = .allocate(capacity: 1)
        condition = .allocate(capacity: 1)
        check(pthread_mutex_init(mutex, nil), "pthread_mutex_init")
        check(pthread_cond_init(condition, nil), "pthread_cond_init")
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// Changes the value and wakes no one.
    func withLock<Result>(_ body: (inout Value) -> Result) -> Result {
        check(pthread_mutex_lock(mutex), "pthread_mutex_lock")
        defer { check(pthread_mutex_unlock(mutex), "pthread_mutex_unlock") }
        return body(&value)
    }

    /// Changes the value and wakes one waiting thread when `body` returns true.
    func update(_ body: (inout Value) -> Bool) {
        check(pthread_mutex_lock(mutex), "pthread_mutex_lock")
        let wakes = body(&value)
        check(pthread_mutex_unlock(mutex), "pthread_mutex_unlock")
        if wakes { check(pthread_cond_signal(condition), "pthread_cond_signal") }
    }

    /// Changes the value and wakes every waiting thread.
    func updateAndWakeAll(_ body: (inout Value) -> Void) {
        check(pthread_mutex_lock(mutex), "pthread_mutex_lock")
        body(&value)
        check(pthread_mutex_unlock(mutex), "pthread_mutex_unlock")
        check(pthread_cond_broadcast(condition), "pthread_cond_broadcast")
    }

    /// Blocks the thread until `body` returns a result, called again after every wake-up.
    func wait<Found>(for body: (inout Value) -> Found?) -> Found {
        check(pthread_mutex_lock(mutex), "pthread_mutex_lock")
        while true {
            if let found = body(&value) {
                check(pthread_mutex_unlock(mutex), "pthread_mutex_unlock")
                return found
            }
            check(pthread_cond_wait(condition, mutex), "pthread_cond_wait")
        }
    }
}

/// These calls fail only when the object was destroyed or never made, which is a defect here.
private func check(_ status: Int32, _ call: StaticString) {
    precondition(status == 0, "\(call) failed with \(status)")
}
