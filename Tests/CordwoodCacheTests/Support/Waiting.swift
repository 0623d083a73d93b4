import Synchronization

/// Lets other tasks run until `condition` holds; the suite's time limit is the end of patience.
func eventually(_ condition: () -> Bool) async {
    while !condition() && !Task.isCancelled { await Task.yield() }
}

/// A count that tasks share.
final class Counter: Sendable {
    private let count = Atomic<Int>(0)
    var value: Int { count.load(ordering: .sequentiallyConsistent) }
    @discardableResult func increment() -> Int {
        count.add(1, ordering: .sequentiallyConsistent).newValue
    }
}

struct LoadFailed: Error {}
