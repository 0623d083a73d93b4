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
    private var watchers: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []

    mutating func add(_ call: Held) { held.append(call) }

    /// Takes out the first `count` calls, or all if fewer wait.
    mutating func takeFirst(_ count: Int) -> [Held] {
        let taken = Array(held.prefix(count))
        held.removeFirst(taken.count)
        return taken
    }

    mutating func watch(count: Int, _ continuation: CheckedContinuation<Void, Never>) {
        watchers.append((count, continuation))
    }

    /// Takes out the watchers that have waited for no more calls than are held now.
    mutating func takeWatchers() -> [CheckedContinuation<Void, Never>] {
        let satisfied = watchers.filter { $0.count <= held.count }
        watchers.removeAll { $0.count <= held.count }
        return satisfied.map(\.continuation)
    }
}
