/// Lets one change to a log's structure run at a time: a group's write, a roll, a removal, a
/// compaction's commit, a truncation. None of them sees another's half.
///
/// First come, first served. Not thread-safe: the log, an actor, owns it, so taking a free lock
/// costs a test of a flag and no suspension.
final class StructureLock {
    private var isHeld = false
    private let waiters = Waiters()

    var waiterCount: Int { waiters.count }

    func acquire() async {
        if take() { return }
        // Whoever releases hands the lock on without letting go of it.
        await waiters.wait { !take() }
    }

    private func take() -> Bool {
        if isHeld { return false }
        isHeld = true
        return true
    }

    func release() {
        if !waiters.resumeFirst() { isHeld = false }
    }
}
