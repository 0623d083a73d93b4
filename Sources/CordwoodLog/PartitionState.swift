import CordwoodStorage
import Synchronization

/// What readers of a partition see. The writer publishes into it after each group; readers copy out
/// of it and never wait for the writer's I/O. Followers sleep until what they wait for is there: a
/// group of records wakes nobody who waits for something else.
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

        /// Whether what somebody waits for is there, or will never be.
        func has(_ awaited: Awaited) -> Bool {
            switch awaited {
            case .closing: isClosed
            case .records(let offset, let isolation, let known):
                isClosed || truncations.count != known || end(for: isolation) > offset
            }
        }
    }

    /// What a follower waits for.
    enum Awaited {
        /// A record at that offset or behind it which readers of the isolation see, or another
        /// truncation than those that are known.
        case records(at: Int64, Isolation, truncations: Int)
        case closing
    }

    private struct Follower {
        var awaited: Awaited
        var continuation: CheckedContinuation<Void, Never>
    }

    private struct Guarded {
        var snapshot: Snapshot
        var followers: [UInt64: Follower] = [:]
        var nextFollower: UInt64 = 0

        /// Takes out the followers for whom what they wait for is there. O(followers).
        mutating func takeWoken() -> [Follower] {
            var woken: [Follower] = []
            for (ticket, follower) in followers where snapshot.has(follower.awaited) {
                woken.append(follower)
                followers[ticket] = nil
            }
            return woken
        }
    }

    private let guarded: Mutex<Guarded>

    init(_ snapshot: sending Snapshot) { guarded = Mutex(Guarded(snapshot: snapshot)) }

    /// Reads a little of the state. `body` runs under the lock: it must be short.
    func read<Value: Sendable>(_ body: (borrowing Snapshot) -> Value) -> Value {
        guarded.withLock { body($0.snapshot) }
    }

    /// How many followers sleep.
    var followerCount: Int { guarded.withLock { $0.followers.count } }
    /// How often a follower began to wait.
    var waitCount: UInt64 { guarded.withLock { $0.nextFollower } }

    /// Changes the state and wakes those who waited for what is there now.
    func publish(_ change: (inout Snapshot) -> Void) {
        let woken = guarded.withLock { guarded in
            change(&guarded.snapshot)
            return guarded.takeWoken()
        }
        for follower in woken { follower.continuation.resume() }
    }

    /// Suspends until that is there, or the task is cancelled. Nothing that was published since the
    /// caller looked is missed: it is held against the state under the lock.
    func wait(for awaited: Awaited) async {
        let ticket = guarded.withLock { guarded in
            guarded.nextFollower += 1
            return guarded.nextFollower
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isReady = guarded.withLock { guarded in
                    if guarded.snapshot.has(awaited) || Task.isCancelled { return true }
                    guarded.followers[ticket] = Follower(
                        awaited: awaited, continuation: continuation)
                    return false
                }
                if isReady { continuation.resume() }
            }
        } onCancel: {
            guarded.withLock { $0.followers.removeValue(forKey: ticket) }?.continuation.resume()
        }
    }
}
