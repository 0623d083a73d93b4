import Synchronization

/// Bounds the head of a collection: upserts enter here before they are appended, and wait, in the order
/// in which they came, while the head is full and its points are being sealed.
///
/// An upsert counts from its entry on, so the head has at most `limit` points and those of one more call.
/// Nobody waits for ever: where the head is full a sealing is under way, and its end lets go of those who
/// wait, into the room that it made or with its error.
final class HeadRoom: Sendable {
    private struct Waiter {
        var number: Int
        var count: Int
        var continuation: CheckedContinuation<Result<Void, DatabaseError>, Never>
    }

    private struct State {
        /// Points of upserts that have entered and not left.
        var entered = 0
        /// The first has waited longest.
        var waiters: [Waiter] = []
        var nextNumber = 0
        var isClosed = false
    }

    private let name: String
    private let limit: Int
    private let headCount: @Sendable () -> Int
    private let state = Mutex(State())

    init(name: String, limit: Int, headCount: @escaping @Sendable () -> Int) {
        self.name = name
        self.limit = limit
        self.headCount = headCount
    }

    /// How many upserts wait.
    var waiterCount: Int { state.withLock { $0.waiters.count } }

    /// Returns when there is room, which so many points then take until ``leave(_:)``. `isFull` is called
    /// when there is none: it has to see to it that there will be.
    ///
    /// Throws ``DatabaseError/Code/cancelled`` in a cancelled task that has to wait,
    /// ``DatabaseError/Code/closed``, and what ``fail(_:)`` is called with.
    func enter(_ count: Int, isFull: () -> Void) async throws(DatabaseError) {
        let number = state.withLock { state in
            defer { state.nextNumber += 1 }
            return state.nextNumber
        }
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation {
                (continuation: CheckedContinuation<Result<Void, DatabaseError>, Never>) in
                let outcome = state.withLock { state -> Result<Void, DatabaseError>? in
                    if state.isClosed { return .failure(closed) }
                    if state.waiters.isEmpty, admits(state) {
                        state.entered += count
                        return .success(())
                    }
                    state.waiters.append(
                        Waiter(number: number, count: count, continuation: continuation))
                    return nil
                }
                if let outcome { return continuation.resume(returning: outcome) }
                // Cancelled before there was anybody to let go.
                if Task.isCancelled { giveUp(number) } else { isFull() }
            }
        } onCancel: {
            giveUp(number)
        }
        try result.get()
    }

    /// Points that entered are in the head, or will never be. Returns whether somebody still waits.
    func leave(_ count: Int) -> Bool {
        state.withLock { $0.entered -= count }
        return admitWaiters()
    }

    /// Lets in who finds room; returns whether somebody still waits.
    @discardableResult func admitWaiters() -> Bool {
        let (admitted, isFull) = state.withLock { state -> ([Waiter], Bool) in
            var admitted: [Waiter] = []
            while let first = state.waiters.first, admits(state) {
                state.entered += first.count
                admitted.append(first)
                state.waiters.removeFirst()
            }
            return (admitted, !state.waiters.isEmpty)
        }
        for waiter in admitted { waiter.continuation.resume(returning: .success(())) }
        return isFull
    }

    /// Lets go of all who wait, with an error.
    func fail(_ error: DatabaseError) {
        let waiters = state.withLock { state in
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.continuation.resume(returning: .failure(error)) }
    }

    /// Nobody enters any more.
    func close() {
        state.withLock { $0.isClosed = true }
        fail(closed)
    }

    private func admits(_ state: State) -> Bool { headCount() + state.entered < limit }

    private func giveUp(_ number: Int) {
        let waiter = state.withLock { state in
            state.waiters.firstIndex { $0.number == number }.map { state.waiters.remove(at: $0) }
        }
        let error = DatabaseError(.cancelled, "collection \(name): its head is full")
        waiter?.continuation.resume(returning: .failure(error))
    }

    private var closed: DatabaseError { DatabaseError(.closed, "collection \(name)") }
}
