/// What the coordinator does by itself.
extension TransactionCoordinator {
    /// The transactional ids that are known, sorted.
    var ids: [String] { entries.keys.sorted() }

    /// What keeps transactions from being ended, sorted.
    var failures: [TransactionFailure] {
        entries.sorted { $0.key < $1.key }.flatMap { id, entry in
            entry.failures.sorted { $0.key < $1.key }.map {
                TransactionFailure(transactionalID: id, place: $0.key, error: $0.value)
            }
        }
    }

    /// A round of upkeep: aborts the transactions that took too long, goes on with those that could
    /// not be ended, and forgets the ids that nobody uses. What fails is in ``failures``, and a
    /// later round tries it again: after one, two, four rounds and so on up to 32.
    func lookAfter() async {
        let now = clock.millisecondsNow()
        for (id, entry) in inOrder where needsCare(entry, now) && entry.isDue() {
            await entry.turns.withLock {
                guard entries[id] === entry, needsCare(entry, now) else { return }
                await settle(id, entry)
                await retire(id, entry, now)
                entry.backOff()
            }
        }
    }

    private func needsCare(_ entry: TransactionEntry, _ now: Int64) -> Bool {
        guard let state = entry.state else { return true }
        return state.marker != nil || !entry.failures.isEmpty || state.isExpired(now: now)
            || state.idleness(now: now, limit: idExpirationMilliseconds) != .inUse
    }

    /// Forgets an id that nobody uses.
    private func retire(_ id: String, _ entry: TransactionEntry, _ now: Int64) async {
        do throws(DatabaseError) {
            guard var state = entry.state else { return try await forget(id) }
            switch state.idleness(now: now, limit: idExpirationMilliseconds) {
            case .inUse: break
            case .expired: try await forget(id)
            case .unknown:
                state.updatedAt = now
                try await write(id, entry, state)
            }
        } catch { entry.failures[Self.statePlace] = error }
    }

    /// Aborts the transaction if it is open, and tells the partitions how it ended. The caller holds
    /// the id's turn.
    func settle(_ id: String, _ entry: TransactionEntry) async {
        do throws(DatabaseError) {
            if entry.state?.status == .ongoing {
                try await end(id, entry, .abort, fencing: true)
            } else {
                try await finish(id, entry)
            }
        } catch {
            // Of partitions that could not be told that is noted.
            if entry.failures.isEmpty { entry.failures[Self.statePlace] = error }
        }
    }

    /// Sees to it that the topic of the groups' offsets has the ends of all transactions that were
    /// found in it. Throws where that fails: which of its offsets count could not be told. Called
    /// before there are groups, and so transactions with offsets that are not such.
    func settleOffsets() async throws(DatabaseError) {
        for (id, entry) in inOrder {
            try await entry.turns.withLock { () async throws(DatabaseError) in
                guard entry.state?.partitions.contains(Self.offsetsPlace) ?? false else { return }
                await settle(id, entry)
                let failure =
                    entry.failures[Self.offsetsPlace]
                    ?? (entry.state?.status == .ongoing ? entry.failures[Self.statePlace] : nil)
                if let failure { throw failure }
            }
        }
    }
}
