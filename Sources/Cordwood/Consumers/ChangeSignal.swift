import Synchronization

/// A number that changes, and those who wait for it to.
final class ChangeSignal: Sendable {
    private struct State {
        var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
        var nextWaiter: UInt64 = 0
    }

    private let state = Mutex(State())
    private let published = Atomic<Int32>(0)

    var value: Int32 { published.load(ordering: .acquiring) }

    /// Changes the number to the next one, and wakes all.
    func raise() {
        let waiters = state.withLock { state in
            published.wrappingAdd(1, ordering: .acquiringAndReleasing)
            defer { state.waiters = [:] }
            return Array(state.waiters.values)
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Suspends until the number is another than `value`, or the task is cancelled.
    func wait(after value: Int32) async {
        let ticket = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isReady = state.withLock { state in
                    if self.value != value || Task.isCancelled { return true }
                    state.waiters[ticket] = continuation
                    return false
                }
                if isReady { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: ticket) }?.resume()
        }
    }
}
