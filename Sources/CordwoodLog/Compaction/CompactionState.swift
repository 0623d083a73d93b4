/// What a log remembers of its compactions while it is open.
///
/// Not thread-safe: the log, an actor, owns it.
final class CompactionState {
    /// Whether a pass runs; there is one at a time.
    private(set) var isRunning = false
    /// Why the last pass failed; nil once one succeeds.
    var failure: LogError?
    /// Damaged segments, which are left as they are.
    var passedOver: Set<SegmentID> = []
    private let waiters = Waiters()

    func begin() { isRunning = true }

    func end() {
        isRunning = false
        waiters.resumeAll()
    }

    /// Returns once no pass runs.
    func waitForEnd() async {
        if isRunning { await waiters.wait { isRunning } }
    }
}
