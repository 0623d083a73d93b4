internal import Synchronization

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// Numbers threads as they come, so that those that run at once, such as a pool's, use different locks.
@usableFromInline enum ThreadNumber {
    static let processorCount = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))

    private static let next = Atomic<Int>(1)

    /// Where a thread keeps its number; nil where the system has no more places, and all are number 0.
    private static let place: pthread_key_t? = {
        var key = pthread_key_t()
        return pthread_key_create(&key, nil) == 0 ? key : nil
    }()

    /// This thread's number.
    @usableFromInline static var current: Int {
        guard let place else { return 0 }
        if let number = pthread_getspecific(place) { return Int(bitPattern: number) }
        let number = next.add(1, ordering: .relaxed).oldValue
        // A thread that cannot keep its number takes another one the next time.
        pthread_setspecific(place, UnsafeRawPointer(bitPattern: number))
        return number
    }
}
