import CordwoodStorage
import Synchronization

/// What readers of a partition see. The writer publishes into it after each group; readers copy out
/// of it and never wait for the writer's I/O.
final class PartitionState<S: Storage>: Sendable {
    struct Snapshot {
        var configuration: LogConfiguration
        var startOffset: Int64
        var epochs: EpochCache
        var sealed: [SealedSegment<S>]
        var activeFile: S.File
        var activeHeader: SegmentHeader
        var activeIndex: OffsetIndex
        /// Has an entry for each of ``activeIndex``.
        var activeTimes: TimeIndex
        /// The end of what was written.
        var end: SegmentCursor
        /// How far replicas have it; nil where there are none, and the end counts.
        var replicatedOffset: Int64?
        /// What is open and what was aborted.
        var transactions = TransactionView()
        /// The offsets that truncations since the opening cut to, in their order.
        var truncations: [Int64] = []
        var durableOffset: Int64
        var tail: Tail
        var statistics = LogStatistics()
        var recovery: RecoveryReport
        var isClosed = false
        var health = LogHealth.writable

        var highWatermark: Int64 {
            max(startOffset, min(replicatedOffset ?? end.nextOffset, end.nextOffset))
        }
        var lastStableOffset: Int64 {
            let undecided = transactions.firstUndecided(highWatermark: highWatermark) ?? .max
            // A transaction that was open when its first records were deleted holds up the rest.
            return min(highWatermark, max(undecided, startOffset))
        }

        /// The end of what a reader of that isolation sees.
        func end(for isolation: Isolation) -> Int64 {
            switch isolation {
            case .logEnd: end.nextOffset
            case .uncommitted: highWatermark
            case .committed: lastStableOffset
            }
        }
    }

    private struct Guarded {
        var snapshot: Snapshot
        var followers: [UInt64: CheckedContinuation<Void, Never>] = [:]
        var nextFollower: UInt64 = 0
    }

    private let guarded: Mutex<Guarded>

    init(_ snapshot: sending Snapshot) { guarded = Mutex(Guarded(snapshot: snapshot)) }

    /// Reads a little of the state. `body` runs under the lock: it must be short.
    func read<Value: Sendable>(_ body: (borrowing Snapshot) -> Value) -> Value {
        guarded.withLock { body($0.snapshot) }
    }

    /// Changes the state and wakes everyone who waits for more records.
    func publish(_ change: (inout Snapshot) -> Void) {
        let waiting = guarded.withLock { guarded in
            change(&guarded.snapshot)
            defer { guarded.followers = [:] }
            return guarded.followers.values.map { $0 }
        }
        for follower in waiting { follower.resume() }
    }

    /// Suspends until a reader of that isolation sees records at `offset`, the log was truncated
    /// below it or closed, or the task is cancelled.
    func waitForRecords(at offset: Int64, isolation: Isolation) async {
        let ticket = guarded.withLock { guarded in
            guarded.nextFollower += 1
            return guarded.nextFollower
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isReady = guarded.withLock { guarded in
                    if guarded.snapshot.end(for: isolation) > offset
                        || guarded.snapshot.end.nextOffset < offset || guarded.snapshot.isClosed
                        || Task.isCancelled
                    {
                        return true
                    }
                    guarded.followers[ticket] = continuation
                    return false
                }
                if isReady { continuation.resume() }
            }
        } onCancel: {
            guarded.withLock { $0.followers.removeValue(forKey: ticket) }?.resume()
        }
    }
}
