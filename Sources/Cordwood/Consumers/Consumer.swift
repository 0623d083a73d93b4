public import CordwoodLog
import CordwoodStorage
import Synchronization

/// A record as a consumer hands it out.
public struct ConsumerRecord: Sendable, Hashable {
    public let place: TopicPartition
    public let record: StoredRecord
    /// The epoch of the leader that wrote the record: for whoever commits its offset without a
    /// consumer.
    public let leaderEpoch: Int32
    /// The generation in which the consumer got the partition.
    let since: Int32

    /// The value as UTF-8 text; nil where there is none or it is not valid UTF-8.
    public var text: String? { record.text }
}

/// One worker of a ``ConsumerGroup``: the records of the partitions that fall to it, from what the
/// group has committed on.
///
/// Partitions take turns, ``Iterator/turnRecords`` records each, so that a full one does not hold
/// back the others; within a partition records come in order. Pulls: nothing is fetched before it
/// is asked for. Ends when the database or the consumer is closed, or the task cancelled.
///
/// **At least once.** ``commit()`` says that all records handed out so far are done with. Those that
/// were not committed when the process died, or when their partition went to another consumer, are
/// handed out again. An automatic commit that fails is thrown by the iterator's `next()`, which goes
/// on with the records when it is asked again, and tries the commit again after the interval.
///
/// May be used from any task; several iterators of one consumer share its records.
public final class Consumer: AsyncSequence, Sendable {
    public typealias Element = ConsumerRecord
    public typealias Failure = DatabaseError

    private struct State {
        var generation: Int32 = 0
        /// Sorted by name.
        var places: [Place] = []
        /// Partitions that went to another consumer before what was handed out was committed.
        var revoked: Set<TopicPartition> = []
        /// When offsets were committed, or an automatic commit was tried.
        var lastCommit: Int64
        /// The last automatic commit failed, and none has succeeded since.
        var isCommitFailing = false
        var isClosed = false
    }

    public let group: ConsumerGroup
    public let configuration: ConsumerConfiguration
    private let topics: [String: Topic]
    private let member: UInt64
    private let state: Mutex<State>
    /// Changes with every ``seek(_:to:)``.
    private let moves = ChangeSignal()
    /// Commits one after the other, so that an older one never follows a newer.
    private let commits = AsyncLock()

    init(group: ConsumerGroup, topics: [Topic], _ configuration: ConsumerConfiguration) {
        self.group = group
        self.configuration = configuration
        self.topics = Dictionary(topics.map { ($0.name, $0) }) { first, _ in first }
        member = group.session.join(self.topics.mapValues(\.partitions.count))
        state = Mutex(State(lastCommit: group.clock.millisecondsNow()))
    }

    deinit { group.session.leave(member) }

    public func makeAsyncIterator() -> Iterator { Iterator(self) }

    /// The partitions that fall to this consumer now, sorted.
    public var assignment: [TopicPartition] {
        group.session.assignment(of: member).partitions.keys.sorted()
    }

    /// The next offset that will be handed out of each partition that it reads; one that was just
    /// assigned, or has no place to begin yet, is missing.
    public var positions: [TopicPartition: Int64] {
        state.withLock { state in
            var positions: [TopicPartition: Int64] = [:]
            for place in state.places where place.position >= 0 {
                positions[place.name] = place.position
            }
            return positions
        }
    }

    /// Goes on at another offset of a partition; the group's committed offset stays until the next
    /// commit. Throws ``DatabaseError/Code/partitionRevoked`` for a partition that is not this
    /// consumer's.
    public func seek(_ name: TopicPartition, to offset: Int64) async throws(DatabaseError) {
        try await refresh()
        let isMine = state.withLock { state in
            guard let index = state.places.firstIndex(where: { $0.name == name }) else {
                return false
            }
            state.places[index].move(to: Swift.max(0, offset))
            return true
        }
        if !isMine { throw Self.revoked([name], group.name) }
        moves.raise()
    }

    /// Leaves the group, after a last commit where commits are automatic. Its partitions go to the
    /// group's other consumers. A second call does nothing.
    public func close() async throws(DatabaseError) {
        let wasClosed = state.withLock { state in
            defer { state.isClosed = true }
            return state.isClosed
        }
        if wasClosed { return }
        defer { group.session.leave(member) }
        if configuration.autoCommitIntervalMilliseconds != nil { try await commitWhatIsMine() }
    }
}

// MARK: - Commits

extension Consumer {
    /// Commits all that was handed out.
    ///
    /// Throws ``DatabaseError/Code/partitionRevoked`` when records of a partition that has gone to
    /// another consumer are among them: that one reads them again. What could be committed is.
    public func commit(acknowledge: Acknowledgement = .durable) async throws(DatabaseError) {
        let revoked = try await commits.withLock { () async throws(DatabaseError) in
            try await commitHandedOut(acknowledge)
        }
        if !revoked.isEmpty { throw Self.revoked(revoked, group.name) }
    }

    /// Commits a partition up to a record and with it, and leaves the other partitions.
    ///
    /// Throws ``DatabaseError/Code/partitionRevoked`` when the partition has gone to another
    /// consumer since the record was handed out; nothing was written then.
    public func commit(
        _ record: ConsumerRecord, metadata: String = "", acknowledge: Acknowledgement = .durable
    ) async throws(DatabaseError) {
        let offset = CommittedOffset(
            record.record.offset + 1, leaderEpoch: record.leaderEpoch, metadata: metadata)
        try offset.validate(record.place)
        let refused = try await commits.withLock { () async throws(DatabaseError) in
            try await write([record.place: (offset, record.since)], acknowledge)
        }
        if !refused.isEmpty { throw Self.revoked(refused, group.name) }
    }

    /// Admits what was handed out to a commit by a transaction, which ends the commit.
    func beginTransactionalCommit() throws(DatabaseError) -> (
        offsets: [TopicPartition: CommittedOffset], commit: UInt64
    ) {
        let (offsets, revoked) = handedOut()
        let (commit, refused) = group.session.begin(
            member: member, offsets.mapValues(\.since))
        let lost = revoked.union(refused)
        guard lost.isEmpty else {
            group.session.end(commit)
            throw Self.revoked(lost, group.name)
        }
        return (offsets.mapValues(\.offset), commit)
    }

    /// Commits what is this consumer's; what was revoked is another's business.
    private func commitWhatIsMine() async throws(DatabaseError) {
        _ = try await commits.withLock { () async throws(DatabaseError) in
            try await commitHandedOut(.durable)
        }
    }

    private func commitHandedOut(
        _ acknowledge: Acknowledgement
    ) async throws(DatabaseError) -> Set<TopicPartition> {
        let (offsets, revoked) = handedOut()
        let refused = try await write(offsets, acknowledge)
        // Told once: the caller knows now.
        state.withLock { state in
            state.revoked.subtract(revoked)
            for index in state.places.indices where refused.contains(state.places[index].name) {
                state.places[index].committed = state.places[index].position
            }
        }
        return revoked.union(refused)
    }

    /// What was handed out and not committed, and the partitions that were lost before it was. What
    /// a truncation took is not handed out any more.
    private func handedOut() -> (
        offsets: [TopicPartition: (offset: CommittedOffset, since: Int32)],
        revoked: Set<TopicPartition>
    ) {
        state.withLock { state in
            var offsets: [TopicPartition: (offset: CommittedOffset, since: Int32)] = [:]
            for index in state.places.indices {
                _ = state.places[index].followTruncations()
                let place = state.places[index]
                if place.isUncommitted { offsets[place.name] = (place.offset, place.since) }
            }
            return (offsets, state.revoked)
        }
    }

    /// Writes the offsets of partitions that are still this consumer's; returns the others.
    private func write(
        _ offsets: [TopicPartition: (offset: CommittedOffset, since: Int32)],
        _ acknowledge: Acknowledgement
    ) async throws(DatabaseError) -> Set<TopicPartition> {
        let now = group.clock.millisecondsNow()
        let (commit, refused) = group.session.begin(
            member: member, offsets.mapValues(\.since))
        defer { group.session.end(commit) }
        let admitted = offsets.filter { !refused.contains($0.key) }
        try await group.coordinator.write(
            group.name, admitted.mapValues(\.offset), acknowledge: acknowledge)
        state.withLock { state in
            state.lastCommit = now
            state.isCommitFailing = false
            for index in state.places.indices {
                let place = state.places[index]
                if let done = admitted[place.name], done.since == place.since {
                    state.places[index].committed = done.offset.offset
                }
            }
        }
        return refused
    }

    /// Commits when the interval says so. `isIdle`: nothing is left to be handed out for now, and
    /// the next chance may be far away. One that failed is tried again after the interval, and not
    /// before, so that what keeps offsets from being committed does not keep records from being
    /// read.
    func commitIfDue(isIdle: Bool) async throws(DatabaseError) {
        guard let interval = configuration.autoCommitIntervalMilliseconds else { return }
        let now = group.clock.millisecondsNow()
        let isDue = state.withLock { state in
            guard state.places.contains(where: \.isUncommitted) else {
                return false
            }
            // A clock that was set back must not hold commits up.
            let isTime = now < state.lastCommit || now - state.lastCommit >= Int64(interval)
            guard isTime || (isIdle && !state.isCommitFailing) else { return false }
            state.lastCommit = now
            return true
        }
        guard isDue else { return }
        do throws(DatabaseError) { try await commitWhatIsMine() } catch {
            state.withLock { $0.isCommitFailing = true }
            throw error
        }
    }

    private static func revoked(_ names: Set<TopicPartition>, _ group: String) -> DatabaseError {
        let list = names.sorted().map { "\($0)" }.joined(separator: ", ")
        return DatabaseError(
            .partitionRevoked,
            "group \(group): \(list) went to another consumer, which reads again what was not "
                + "committed; other partitions' offsets are committed")
    }
}

// MARK: - What iterators need

extension Consumer {
    /// Brings the partitions up to the group's generation. Partitions that were this consumer's
    /// before keep their position; the others begin at what is committed, once their former owner
    /// has no commit on its way.
    func refresh() async throws(DatabaseError) {
        let session = group.session
        while session.generation != state.withLock({ $0.generation }) {
            let (generation, assigned) = session.assignment(of: member)
            await session.settle()
            let committed = await group.coordinator.committed(group.name)
            state.withLock { state in
                // Another task may have been faster.
                guard generation &- state.generation > 0 else { return }
                let before = Dictionary(
                    uniqueKeysWithValues: state.places.map { ($0.name, $0) })
                state.places = assigned.sorted { $0.key < $1.key }.map { name, since in
                    if let place = before[name], place.since == since { return place }
                    let partition = topics[name.topic]!.partitions[name.partition]
                    return Place(name, partition, since: since, committed: committed[name])
                }
                for (name, place) in before
                where place.since != assigned[name] && place.isUncommitted {
                    state.revoked.insert(name)
                }
                state.generation = generation
            }
        }
    }

    /// The partitions and the generation that says so; nil once the consumer is closed.
    func snapshot() -> (generation: Int32, places: [Place])? {
        state.withLock { $0.isClosed ? nil : ($0.generation, $0.places) }
    }

    var generation: Int32 { group.session.generation }
    var isClosed: Bool { state.withLock { $0.isClosed } }

    func position(_ index: Int, _ generation: Int32) -> Int64? {
        state.withLock { state in
            state.generation == generation ? state.places[index].position : nil
        }
    }

    /// See ``Place/followTruncations()``.
    @discardableResult
    func followTruncations(_ index: Int, _ generation: Int32) -> Bool {
        state.withLock { state in
            guard state.generation == generation else { return false }
            return state.places[index].followTruncations()
        }
    }

    /// Moves a partition's position on, over what an epoch's leader wrote, unless someone else has
    /// moved it.
    func advance(
        _ index: Int, _ generation: Int32, from old: Int64, to new: Int64, leaderEpoch: Int32
    ) -> Bool {
        state.withLock { state in
            guard !state.isClosed, state.generation == generation,
                state.places[index].position == old
            else { return false }
            state.places[index].advance(to: new, leaderEpoch: leaderEpoch)
            return true
        }
    }

    /// Begins where the policy says, in a partition whose position the log does not hold.
    func resetPosition(
        _ index: Int, _ generation: Int32, _ place: Place, from old: Int64
    ) throws(DatabaseError) {
        let partition = place.partition
        let new: Int64
        switch configuration.autoOffsetReset {
        case .earliest: new = partition.startOffset
        case .latest: new = partition.endOffset(for: configuration.isolationLevel)
        case .none:
            throw DatabaseError(
                .offsetOutOfRange,
                "group \(group.name), \(place.name): expected a committed offset from "
                    + "\(partition.startOffset) to \(partition.endOffset), found "
                    + (old < 0 ? "none" : "\(old)"))
        }
        state.withLock { state in
            guard state.generation == generation, state.places[index].position == old else {
                return
            }
            state.places[index].move(to: new)
            state.places[index].committed = new
        }
    }

    private var anyLog: (any Log)? { topics.first?.value.partitions[0].log }
    var isDatabaseClosed: Bool { anyLog?.isClosed ?? true }

    /// Suspends until one of the partitions has a record at its position or was truncated, somebody
    /// seeks, the members change, or it is time to try a commit again that failed.
    func waitForWork(_ generation: Int32) async {
        // Before the positions: whoever seeks from here on is noticed.
        let moved = moves.value
        let (places, isCommitFailing) = state.withLock { state in
            (state.generation == generation ? state.places : nil, state.isCommitFailing)
        }
        guard let places else { return }
        let (session, isolation) = (group.session, configuration.isolationLevel)
        await withTaskGroup(of: Void.self) { tasks in
            for place in places {
                tasks.addTask {
                    await place.partition.log.waitForRecords(
                        at: place.position, isolation: isolation,
                        truncations: place.truncations.count)
                }
            }
            tasks.addTask { await session.waitForChange(after: generation) }
            tasks.addTask { [moves] in await moves.wait(after: moved) }
            if isCommitFailing, let interval = configuration.autoCommitIntervalMilliseconds {
                // At least a little, so that an interval of 0 does not make it spin.
                tasks.addTask {
                    try? await Task.sleep(for: .milliseconds(Swift.max(10, interval)))
                }
            }
            // Wakes when the database is closed, for one that has no partition.
            if let log = anyLog {
                tasks.addTask { await log.waitForClosing() }
            }
            await tasks.next()
            tasks.cancelAll()
        }
    }
}
