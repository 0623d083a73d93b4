#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Runs work that blocks (reading standard input or a large file) on a thread of its own, so that
/// it never holds one of the few that all tasks share.
///
/// A thread is made for each piece of work: some 20 µs, little beside what the work waits for.
enum BlockingThread {
    static func run<Value: Sendable, Failure: Error>(
        _ work: @escaping @Sendable () throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let result = await withCheckedContinuation { continuation in
            start {
                do throws(Failure) {
                    continuation.resume(returning: Result<Value, Failure>.success(try work()))
                } catch {
                    continuation.resume(returning: Result<Value, Failure>.failure(error))
                }
            }
        }
        return try result.get()
    }

    /// Starts a thread that nobody waits for.
    static func start(_ body: @escaping @Sendable () -> Void) {
        let box = Unmanaged.passRetained(Body(body))
        var thread = pthread_t()
        let status = pthread_create(
            &thread, nil,
            { argument in
                Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue().run()
                return nil
            }, box.toOpaque())
        precondition(
            status == 0, "the system refused a thread: \(String(cString: strerror(status)))")
        pthread_detach(thread)
    }

    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }
}
