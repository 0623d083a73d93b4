internal import CordwoodStorage

/// Calls that wait at the gate of ``SimulatedStorage/holdCompletions(of:)`` before they take effect,
/// in the order in which they came.
struct HeldCompletions {
    typealias Outcome = Result<Void, StorageError>

    /// One call that waits.
    struct Held {
        /// Does the operation, once it is let through.
        var apply: @Sendable (inout SimulatedKernel) -> Outcome
        var path: StoragePath
        var kind: OperationKind
        var continuation: CheckedContinuation<Outcome, Never>
    }

    /// The kinds that are held; empty when the gate is open.
    var kinds: Set<OperationKind> = []
    private(set) var held: [Held] = []
    private var watchers: [Watcher] = []
    private var nextWatcher = 0

    /// Somebody who waits until `count` calls are held.
    private struct Watcher {
        var number: Int
        var count: Int
        var continuation: CheckedContinuation<Void, Never>
    }

    mutating func add(_ call: Held) { held.append(call) }

    /// Takes out the first `count` calls, or all if fewer wait.
    mutating func takeFirst(_ count: Int) -> [Held] {
        let taken = Array(held.prefix(count))
        held.removeFirst(taken.count)
        return taken
    }

    mutating func newWatcher() -> Int {
        defer { nextWatcher += 1 }
        return nextWatcher
    }

    mutating func watch(
        _ number: Int, count: Int, _ continuation: CheckedContinuation<Void, Never>
    ) {
        watchers.append(Watcher(number: number, count: count, continuation: continuation))
    }

    /// Takes out a watcher that gave up; nil where it was let go already.
    mutating func takeWatcher(_ number: Int) -> CheckedContinuation<Void, Never>? {
        guard let index = watchers.firstIndex(where: { $0.number == number }) else { return nil }
        return watchers.remove(at: index).continuation
    }

    /// Takes out the watchers that have waited for no more calls than are held now.
    mutating func takeWatchers() -> [CheckedContinuation<Void, Never>] {
        let satisfied = watchers.filter { $0.count <= held.count }
        watchers.removeAll { $0.count <= held.count }
        return satisfied.map(\.continuation)
    }
}
