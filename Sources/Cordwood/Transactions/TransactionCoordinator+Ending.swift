import CordwoodLog

/// How a transaction's end reaches its partitions.
extension TransactionCoordinator {
    /// There is one coordinator, and it never moves.
    private static let coordinatorEpoch: Int32 = 0
    /// How many partitions are flushed, or told, at the same time.
    private static let maximumWidth = 32

    /// Decides how the open transaction ends, durably, and tells its partitions. The caller holds
    /// the id's turn.
    func end(
        _ id: String, _ entry: Entry, _ marker: TransactionMarker, fencing: Bool
    ) async throws(DatabaseError) {
        if let next = try entry.state?.preparing(
            marker, fencing: fencing, now: clock.millisecondsNow())
        {
            // A commit that is durable before its records are could lose some of them.
            if marker == .commit {
                let failures = await inEach(next.partitions) { place throws(DatabaseError) in
                    try await self.flush(place)
                }
                if let failure = failures.first { throw failure.error }
            }
            try await write(id, entry, next)
            entry.told = []
        }
        try await finish(id, entry)
    }

    /// Writes the markers of a transaction that was decided, and then that they are written. The
    /// caller holds the id's turn.
    ///
    /// After an error the partitions that could be told know how it ended, and calling again goes on
    /// with the others.
    func finish(_ id: String, _ entry: Entry) async throws(DatabaseError) {
        guard let state = entry.state, let marker = state.marker,
            let next = state.completing(now: clock.millisecondsNow())
        else {
            entry.failures = [:]
            return
        }
        let failures = await inEach(state.partitions.subtracting(entry.told)) {
            place throws(DatabaseError) in try await self.writeMarker(marker, state, place)
        }
        entry.failures = Dictionary(uniqueKeysWithValues: failures.map { ($0.place, $0.error) })
        entry.told = state.partitions.subtracting(entry.failures.keys)
        if entry.told.contains(Self.offsetsPlace) { try await endOffsets(entry, marker) }
        if let (place, error) = failures.first {
            throw DatabaseError(
                error.code,
                "transaction \(String(reflecting: id)): its \(marker) is decided, and durable; "
                    + "\(place) could not be told yet, and is tried again in the background",
                cause: error)
        }
        // Not synced: after a crash the markers are written again, which changes nothing.
        try await append(.state(id: id, next), .written)
        entry.state = next
        entry.told = []
    }

    /// Applies the offsets of a transaction that their topic has the end of, once, and ends the
    /// groups' commits.
    private func endOffsets(
        _ entry: Entry, _ marker: TransactionMarker
    ) async throws(DatabaseError) {
        if entry.sessions.isEmpty { return }
        let groups = try await resolveGroups()
        let (offsets, sessions) = (entry.offsets, entry.sessions)
        (entry.offsets, entry.sessions) = ([], [])
        if marker == .commit { await groups.apply(offsets) }
        for (session, commit) in sessions {
            session.end(commit)
            await groups.endTransactional()
        }
    }

    private func flush(_ place: TopicPartition) async throws(DatabaseError) {
        let log = try await log(of: place)
        do { try await log.flush() } catch { throw DatabaseError(error, "\(place)") }
    }

    private func writeMarker(
        _ marker: TransactionMarker, _ state: TransactionState, _ place: TopicPartition
    ) async throws(DatabaseError) {
        let log = try await log(of: place)
        do {
            _ = try await log.appendMarker(
                marker, producerID: state.producerID, epoch: state.epoch,
                coordinatorEpoch: Self.coordinatorEpoch, acknowledge: .durable)
        } catch { throw DatabaseError(error, "\(place)") }
    }

    private func log(of place: TopicPartition) async throws(DatabaseError) -> any Log {
        let topic = try await resolveTopic(place.topic)
        guard topic.partitions.indices.contains(place.partition) else {
            throw DatabaseError(.malformedState, "there is no partition \(place)")
        }
        return topic.partitions[place.partition].log
    }

    /// Does the same in each partition, several at a time: each waits for a sync of its own. One
    /// that fails does not stop the others. Returns what failed, in the order of the partitions.
    private func inEach(
        _ places: Set<TopicPartition>,
        _ body: @escaping @Sendable (TopicPartition) async throws(DatabaseError) -> Void
    ) async -> [(place: TopicPartition, error: DatabaseError)] {
        typealias Outcome = (place: TopicPartition, error: DatabaseError?)
        return await withTaskGroup(of: Outcome.self) { group in
            var rest = places.sorted()[...]
            func add() {
                guard let place = rest.popFirst() else { return }
                group.addTask {
                    do throws(DatabaseError) {
                        try await body(place)
                        return (place, nil)
                    } catch { return (place, error) }
                }
            }
            for _ in 0..<Self.maximumWidth { add() }
            var failures: [(place: TopicPartition, error: DatabaseError)] = []
            for await outcome in group {
                if let error = outcome.error { failures.append((outcome.place, error)) }
                add()
            }
            return failures.sorted { $0.place < $1.place }
        }
    }
}
