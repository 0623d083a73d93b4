internal import Synchronization

/// Hands evictions to a hook, one after another, in a task that lives while there are some. Those that
/// come while `limit` wait are counted and dropped, so that a slow hook holds nobody up.
final class EvictionReporter<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    typealias Eviction = (key: Key, value: Value, cause: EvictionCause, stamp: UInt64)

    private struct State {
        var waiting: [Eviction] = []
        var isRunning = false
        var dropped = 0
    }

    private let limit: Int
    private let hook: @Sendable (Key, Value, EvictionCause, UInt64) async -> Void
    private let state = Mutex(State())

    init(limit: Int, hook: @escaping @Sendable (Key, Value, EvictionCause, UInt64) async -> Void) {
        self.limit = limit
        self.hook = hook
    }

    var dropped: Int { state.withLock { $0.dropped } }

    func report(_ departures: Departures<Key, Value>) {
        let (evictions, stamp) = (departures.evicted, departures.stamp)
        let starts = state.withLock { state in
            let taken = evictions.prefix(max(0, limit - state.waiting.count))
            for eviction in taken {
                state.waiting.append((eviction.key, eviction.value, eviction.cause, stamp))
            }
            state.dropped += evictions.count - taken.count
            let starts = !state.isRunning && !state.waiting.isEmpty
            if starts { state.isRunning = true }
            return starts
        }
        if starts { Task { await run() } }
    }

    private func run() async {
        while true {
            let batch = state.withLock { state in
                if state.waiting.isEmpty { state.isRunning = false }
                defer { state.waiting = [] }
                return state.waiting
            }
            if batch.isEmpty { return }
            for eviction in batch {
                await hook(eviction.key, eviction.value, eviction.cause, eviction.stamp)
            }
        }
    }
}
