/// One load on its way, and those who wait for it. Guarded by the lock of its key's shard, which is what
/// `@unchecked Sendable` stands on; whoever is told here to resume waiters does so without the lock.
@usableFromInline final class Flight<Value: Sendable>: @unchecked Sendable {
    typealias Waiter = CheckedContinuation<Value?, any Error>

    let tags: [String]
    /// Goes on when nobody waits any more: there still is a value to be renewed.
    let isRefresh: Bool
    /// Its key was written or invalidated since it began: what it loads must not be cached.
    var isOvertaken = false

    /// Those who are to be answered: nil until they have a continuation to be answered by.
    private var waiters: [Int: Waiter?] = [:]
    private var nextWaiter = 0
    private var result: Result<Value?, any Error>?
    private var tasks: [Task<Void, Never>] = []

    init(tags: [String], isRefresh: Bool) {
        self.tags = tags
        self.isRefresh = isRefresh
    }

    var isOver: Bool { result != nil }

    /// Takes a place among those who wait.
    func join() -> Int {
        defer { nextWaiter += 1 }
        waiters[nextWaiter] = .some(nil)
        return nextWaiter
    }

    /// What to resume a waiter with at once; nil when it will be resumed later.
    func wait(_ place: Int, _ waiter: Waiter) -> Result<Value?, any Error>? {
        if let result { return result }
        // Whoever left was cancelled before it could wait.
        guard waiters[place] != nil else { return .failure(CancellationError()) }
        waiters[place] = waiter
        return nil
    }

    /// Takes a waiter out; `isAbandoned` when it was the last and the load has nobody left.
    func leave(_ place: Int) -> (waiter: Waiter?, isAbandoned: Bool) {
        guard !isOver, let waiter = waiters.removeValue(forKey: place) else { return (nil, false) }
        return (waiter, waiters.isEmpty && !isRefresh)
    }

    /// Ends the flight, once. Returns who waits, and the tasks that have nothing left to do.
    func finish(
        _ result: Result<Value?, any Error>
    ) -> (waiters: [Waiter], tasks: [Task<Void, Never>]) {
        self.result = result
        defer { (waiters, tasks) = ([:], []) }
        return (waiters.values.compactMap(\.self), tasks)
    }

    /// Keeps a task that is to be cancelled when the flight is over; false when it is.
    func keep(_ task: Task<Void, Never>) -> Bool {
        if isOver { return false }
        tasks.append(task)
        return true
    }
}
