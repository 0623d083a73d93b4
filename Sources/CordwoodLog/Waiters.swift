/// Tasks that wait for a change of something that an actor owns.
///
/// Whether there is something to wait for is asked where the task is added, and not before the
/// `await`: a task that prefers an executor can lose the actor's thread on its way into any function
/// that is awaited, also one that suspends nowhere, and what it found before may be over.
///
/// Not thread-safe: the actor owns it.
package final class Waiters {
    private var waiting: [CheckedContinuation<Void, Never>] = []

    package init() {}

    package var count: Int { waiting.count }

    /// Suspends until the next ``resumeAll()``, or its turn of ``resumeFirst()``, if `condition` holds.
    package func wait(while condition: () -> Bool) async {
        await withCheckedContinuation { continuation in
            if condition() { waiting.append(continuation) } else { continuation.resume() }
        }
    }

    package func resumeAll() {
        for waiter in waiting { waiter.resume() }
        waiting = []
    }

    /// Lets the one go that came first. False when nobody waits.
    package func resumeFirst() -> Bool {
        if waiting.isEmpty { return false }
        waiting.removeFirst().resume()
        return true
    }
}
