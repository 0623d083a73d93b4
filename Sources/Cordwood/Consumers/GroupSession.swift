import Synchronization

/// A group's consumers in this process, and the commits that are on their way.
///
/// A commit is judged and numbered under one lock, so that a consumer which takes a partition over
/// can wait for what its former owner was still allowed to commit (``settle()``), and begins where
/// that one ended.
final class GroupSession: Sendable {
    private struct State {
        var membership = GroupMembership()
        /// Numbers of the commits that have been admitted and not yet ended.
        var commits: Set<UInt64> = []
        var nextCommit: UInt64 = 0
        /// No commit below this number is open.
        var oldestCommit: UInt64 = 1
        /// Who waits for all commits up to a number, by that number.
        var settling: [(limit: UInt64, waiter: CheckedContinuation<Void, Never>)] = []

        mutating func admit() -> UInt64 {
            nextCommit += 1
            commits.insert(nextCommit)
            return nextCommit
        }

        /// Ends a commit and takes out those who waited for it alone. O(1) on average, but for them.
        mutating func end(_ commit: UInt64) -> [CheckedContinuation<Void, Never>] {
            commits.remove(commit)
            while oldestCommit <= nextCommit, !commits.contains(oldestCommit) { oldestCommit += 1 }
            let settled = settling.prefix { $0.limit < oldestCommit }
            settling.removeFirst(settled.count)
            return settled.map(\.waiter)
        }
    }

    private let group: String
    private let id: UInt64
    private let sessions: GroupSessions
    private let state = Mutex(State())
    /// Goes with the generations of the membership.
    private let changes = ChangeSignal()

    init(_ group: String, id: UInt64, in sessions: GroupSessions) {
        self.group = group
        self.id = id
        self.sessions = sessions
    }

    deinit { sessions.close(group, id: id) }

    /// Changes with every change of members.
    var generation: Int32 { changes.value }
    var hasMembers: Bool { state.withLock { !$0.membership.isEmpty } }

    // MARK: Members

    func join(_ topics: [String: Int]) -> UInt64 {
        change { $0.join(topics) }
    }

    func leave(_ member: UInt64) {
        let (hasLeft, isEmpty) = change { ($0.leave(member), $0.isEmpty) }
        if hasLeft, isEmpty { sessions.noteDeparture(from: group) }
    }

    /// What a member reads now, and the generation that says so.
    func assignment(
        of member: UInt64
    ) -> (generation: Int32, partitions: [TopicPartition: Int32]) {
        state.withLock { ($0.membership.generation, $0.membership.assignment(of: member)) }
    }

    private func change<Value>(_ body: (inout GroupMembership) -> sending Value) -> sending Value {
        state.withLock { state in
            let before = state.membership.generation
            let value = body(&state.membership)
            // One at a time, so that the two do not come apart.
            if state.membership.generation != before { changes.raise() }
            return value
        }
    }

    /// Suspends until the members change from what they were in `generation`, or the task is
    /// cancelled.
    func waitForChange(after generation: Int32) async { await changes.wait(after: generation) }

    // MARK: Commits

    /// Admits a member's commit of what it still owns, with the generation in which it got each
    /// partition. End it with ``end(_:)``.
    func begin(
        member: UInt64, _ partitions: [TopicPartition: Int32]
    ) -> (commit: UInt64, refused: Set<TopicPartition>) {
        state.withLock { state in
            let refused = partitions.filter { place, since in
                state.membership.owners[place] != .init(member: member, since: since)
            }
            return (state.admit(), Set(refused.keys))
        }
    }

    /// Admits a commit from outside, unless a consumer owns one of the partitions.
    func begin(_ partitions: some Sequence<TopicPartition>) -> (
        commit: UInt64?, owned: TopicPartition?
    ) {
        state.withLock { state in
            if let owned = partitions.first(where: { state.membership.owners[$0] != nil }) {
                return (nil, owned)
            }
            return (state.admit(), nil)
        }
    }

    /// Admits a change of all the group's offsets, unless it has consumers.
    func beginAlone() -> UInt64? {
        state.withLock { $0.membership.isEmpty ? $0.admit() : nil }
    }

    /// Admits the end of all the group's offsets, unless it has consumers or another commit is on
    /// its way.
    func beginExpiry() -> UInt64? {
        state.withLock { state in
            state.membership.isEmpty && state.commits.isEmpty ? state.admit() : nil
        }
    }

    func end(_ commit: UInt64) {
        for waiter in state.withLock({ $0.end(commit) }) { waiter.resume() }
    }

    /// How many wait in ``settle()``.
    var settlingCount: Int { state.withLock { $0.settling.count } }

    /// Suspends until every commit that was admitted before this call has ended.
    func settle() async {
        await withCheckedContinuation { continuation in
            let isSettled = state.withLock { state in
                if state.commits.isEmpty { return true }
                state.settling.append((state.nextCommit, continuation))
                return false
            }
            if isSettled { continuation.resume() }
        }
    }
}
