import Synchronization

/// Contexts of a library that are dear to make, kept for the next call.
///
/// Any thread may take one; each has one user at a time. What is given back beyond the bound is
/// released.
final class ContextPool<Context: AnyObject>: Sendable {
    /// As many as are likely to work at the same time; more are made when more do.
    static var maximumIdle: Int { 8 }

    private struct Idle: @unchecked Sendable {
        // Sendable because a context that is idle has no other reference.
        var contexts: [Context] = []
    }
    private let idle = Mutex(Idle())

    /// How many wait to be used.
    var idleCount: Int { idle.withLock { $0.contexts.count } }

    /// Lends a context, a new one if none is idle.
    func withContext<Value, Failure: Error>(
        make: () -> Context, _ body: (Context) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        let context = idle.withLock { $0.contexts.popLast() } ?? make()
        defer {
            idle.withLock {
                if $0.contexts.count < Self.maximumIdle { $0.contexts.append(context) }
            }
        }
        return try body(context)
    }
}
