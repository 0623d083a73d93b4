import CordwoodLog
import CordwoodStorage
import Synchronization

/// How far a cached view has come in one partition, and what it knows of the records there.
///
/// One task follows the log and is the only one that moves the view on; any may ask.
final class ViewPartition: Sendable {
    /// A record that the origin may not have yet.
    struct Pending: Sendable {
        var value: [UInt8]?
        var offset: Int64
    }

    private struct State {
        var truncations: KnownTruncations
        /// Of each key the latest record with a value.
        var latest: [KeyHash.Value: Int64] = [:]
        /// Records for the origin, the oldest first, and the latest of each key.
        var queue: [ConsumerRecord] = []
        /// How many of the queue's are done with, and cut off when they are half of it.
        var queueHead = 0
        var queuedBytes = 0
        var pending: [[UInt8]: Pending] = [:]
        /// Keys that are being written through this view, and by how many.
        var writing: [[UInt8]: Int] = [:]
        /// Why the view cannot go on.
        var failure: DatabaseError?
        var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
        var nextWaiter: UInt64 = 0
        var isEnded = false
    }

    let partition: Partition
    let place: TopicPartition
    var log: any Log { partition.log }
    private let hash: KeyHash
    private let state: Mutex<State>
    private let applied: Atomic<Int64>
    /// Whether there is a failure, so that readers take no lock to know that there is none.
    private let isFailing = Atomic<Bool>(false)

    init(_ partition: Partition, topic: String, hash: KeyHash, appliedOffset: Int64) {
        self.partition = partition
        place = TopicPartition(topic, partition.number)
        self.hash = hash
        state = Mutex(State(truncations: KnownTruncations(partition.log.truncations)))
        applied = Atomic(appliedOffset)
    }

    /// Every record before this offset is accounted for.
    var appliedOffset: Int64 { applied.load(ordering: .acquiring) }
    var failure: DatabaseError? {
        isFailing.load(ordering: .acquiring) ? state.withLock { $0.failure } : nil
    }
    var isEnded: Bool { state.withLock { $0.isEnded } }
    var keyCount: Int { state.withLock { $0.latest.count } }
    var pendingCount: Int { state.withLock { $0.queue.count - $0.queueHead } }
    /// The first record that the origin may not have.
    var firstPendingOffset: Int64? {
        state.withLock { state in
            state.queueHead < state.queue.count ? state.queue[state.queueHead].record.offset : nil
        }
    }
    /// How many truncations of the log it knows of.
    var truncationCount: Int { state.withLock { $0.truncations.count } }

    // MARK: What its follower says

    /// Where the log was cut below what was applied; what was cut is known from then on.
    func followTruncations() -> Int64? {
        state.withLock { state in
            let lowest = state.truncations.follow(log.truncations)
            return lowest.flatMap { $0 < appliedOffset ? $0 : nil }
        }
    }

    /// Begins anew at an offset, with nothing known.
    func reset(to offset: Int64) {
        state.withLock { state in
            state.latest = [:]
            state.queue = []
            (state.queueHead, state.queuedBytes) = (0, 0)
            state.pending = [:]
            applied.store(offset, ordering: .releasing)
        }
    }

    /// Takes note of a record before its key is invalidated. Says whether the key is being written
    /// through the view.
    func note(_ record: StoredRecord, key: [UInt8], leaderEpoch: Int32, for kind: ViewSource.Kind)
        -> Bool
    {
        state.withLock { state in
            switch kind {
            case .latestRecord:
                let hash = key.withUnsafeBytes { self.hash.hash($0) }
                state.latest[hash] = record.value == nil ? nil : record.offset
            case .origin: break
            case .writtenBehind:
                state.queue.append(
                    ConsumerRecord(
                        place: place, record: record, leaderEpoch: leaderEpoch, since: 0))
                state.queuedBytes += Self.byteCount(record)
                state.pending[key] = Pending(value: record.value, offset: record.offset)
            }
            return state.writing[key] != nil
        }
    }

    /// Says that everything before an offset is accounted for, and wakes who waits.
    func publish(_ offset: Int64) {
        wake { _ in applied.store(max(offset, appliedOffset), ordering: .releasing) }
    }

    func fail(_ error: DatabaseError?) {
        if error == nil, !isFailing.load(ordering: .acquiring) { return }
        wake { state in
            state.failure = error
            isFailing.store(error != nil, ordering: .releasing)
        }
    }

    /// Nobody moves it on any more.
    func end() { wake { $0.isEnded = true } }

    private func wake(_ change: (inout State) -> Void) {
        let waiters = state.withLock { state in
            change(&state)
            defer { state.waiters = [:] }
            return Array(state.waiters.values)
        }
        for waiter in waiters { waiter.resume() }
    }

    // MARK: What readers ask

    /// Where the latest record of a key is; nil where it has no value.
    func latestOffset(of key: [UInt8]) -> Int64? {
        let hash = key.withUnsafeBytes { self.hash.hash($0) }
        return state.withLock { $0.latest[hash] }
    }

    /// What the origin does not have of a key yet.
    func pending(_ key: [UInt8]) -> Pending? { state.withLock { $0.pending[key] } }

    func beginWriting(_ keys: [[UInt8]]) {
        state.withLock { state in for key in keys { state.writing[key, default: 0] += 1 } }
    }

    func endWriting(_ keys: [[UInt8]]) {
        state.withLock { state in
            for key in keys {
                guard let count = state.writing[key] else { continue }
                state.writing[key] = count == 1 ? nil : count - 1
            }
        }
    }

    /// Suspends until `condition` holds, looked at whenever something changes, or the task is cancelled.
    /// It runs under the lock.
    private func wait(until condition: (borrowing State) -> Bool) async {
        while !Task.isCancelled {
            let ticket = state.withLock { state -> UInt64? in
                if condition(state) { return nil }
                state.nextWaiter += 1
                return state.nextWaiter
            }
            guard let ticket else { return }
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let isReady = state.withLock { state in
                        if Task.isCancelled || condition(state) { return true }
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

    /// Suspends until everything up to an offset and with it is accounted for, and throws where that
    /// cannot be.
    func wait(for offset: Int64) async throws(DatabaseError) {
        await wait { appliedOffset > offset || $0.failure != nil || $0.isEnded }
        if appliedOffset > offset { return }
        if Task.isCancelled { throw DatabaseError(.cancelled, "a view of \(place)") }
        if let failure { throw failure }
        throw DatabaseError(.closed, "a view of \(place)")
    }

    // MARK: What the origin's writer asks

    /// Suspends until there is room for another record; the last batch may go beyond it.
    func waitForRoom(records: Int, bytes: Int) async {
        await wait { state in
            state.isEnded
                || state.queue.count - state.queueHead < records
                    && state.queuedBytes < bytes
        }
    }

    /// The oldest record that the origin may not have; waits for one. Nil at the end.
    func nextForOrigin() async -> ConsumerRecord? {
        await wait { $0.isEnded || $0.queueHead < $0.queue.count }
        return state.withLock { state in
            state.isEnded || state.queueHead == state.queue.count
                ? nil : state.queue[state.queueHead]
        }
    }

    /// The origin has a record, the oldest of the queue.
    func settled(_ record: ConsumerRecord) {
        wake { state in
            // The queue was made anew where the log was cut meanwhile.
            guard state.queueHead < state.queue.count,
                state.queue[state.queueHead].record.offset == record.record.offset
            else { return }
            state.queueHead += 1
            state.queuedBytes -= Self.byteCount(record.record)
            if state.queueHead * 2 > state.queue.count {
                state.queue.removeFirst(state.queueHead)
                state.queueHead = 0
            }
            guard let key = record.record.key else { return }
            if state.pending[key]?.offset == record.record.offset { state.pending[key] = nil }
        }
    }

    /// Suspends until the origin has everything before an offset that was applied.
    func waitForOrigin(before offset: Int64) async {
        await wait { state in
            state.isEnded || state.queueHead == state.queue.count
                || state.queue[state.queueHead].record.offset >= offset
        }
    }

    private static func byteCount(_ record: StoredRecord) -> Int {
        64 + (record.key?.count ?? 0) + (record.value?.count ?? 0)
    }
}
