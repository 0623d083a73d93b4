internal import CordwoodStorage
internal import Synchronization

/// Time standing still for some operations, so that a test decides what happens meanwhile.
extension SimulatedStorage {
    /// From now on, calls of these kinds wait before they take effect. Only what changes the disk
    /// can be held; `open` and `flock` cannot. A write with `thenSync` is held by either kind.
    public func holdCompletions(of kinds: Set<OperationKind> = [.write, .sync]) {
        state.withLock { $0.gate.kinds = kinds }
    }

    /// Opens the gate: what waits is done now, in the order in which it came, and nothing waits any
    /// more.
    public func releaseCompletions() {
        state.withLock { $0.gate.kinds = [] }
        completeHeld()
    }

    /// Does the first `count` calls that wait, in the order in which they came, and keeps holding
    /// what comes after. Returns how many those were.
    @discardableResult
    public func completeHeld(_ count: Int = .max) -> Int {
        let done = state.withLock { state in
            state.gate.takeFirst(count).map { call in
                (call.continuation, call.apply(&state.kernel))
            }
        }
        for (continuation, outcome) in done { continuation.resume(returning: outcome) }
        return done.count
    }

    /// Gives up the first `count` calls that wait: they do nothing and throw ECANCELED, as a ring does
    /// with what is linked behind a failure. Returns how many those were.
    @discardableResult
    public func cancelHeld(_ count: Int = .max) -> Int {
        let given = state.withLock { $0.gate.takeFirst(count) }
        for call in given {
            let error = Fault(.cancelled, at: 1).error(call.kind, call.path)
            call.continuation.resume(returning: .failure(error))
        }
        return given.count
    }

    /// How many calls wait.
    public var heldCount: Int { state.withLock { $0.gate.held.count } }

    /// Returns once at least `count` calls wait, or the task is cancelled.
    public func waitForHeld(_ count: Int = 1) async {
        let number = state.withLock { $0.gate.newWatcher() }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let watchers = state.withLock { state in
                    state.gate.watch(number, count: count, continuation)
                    return state.gate.takeWatchers()
                }
                for watcher in watchers { watcher.resume() }
                // Cancelled before there was a watcher to let go.
                if Task.isCancelled { giveUp(number) }
            }
        } onCancel: {
            giveUp(number)
        }
    }

    private func giveUp(_ watcher: Int) {
        state.withLock { $0.gate.takeWatcher(watcher) }?.resume()
    }
}
