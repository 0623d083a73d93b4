import CordwoodLog

/// Carries one partition's records from a cached view's queue to the origin; see ``WriteBehind``.
struct OriginWriter: Sendable {
    let core: ViewCore
    let place: ViewPartition
    let configuration: WriteBehind

    /// Until the view ends, or the task is cancelled: then with a last commit.
    func run() async {
        var uncommitted: ConsumerRecord?
        var count = 0
        while let record = await place.nextForOrigin(), !Task.isCancelled {
            guard await write(record) else { break }
            place.settled(record)
            uncommitted = record
            count += 1
            guard count >= configuration.commitEveryRecords || place.pendingCount == 0 else {
                continue
            }
            if await commit(record) { (uncommitted, count) = (nil, 0) }
        }
        if let uncommitted { _ = await commit(uncommitted) }
    }

    /// Tries until it succeeds; false where it need not any more.
    private func write(_ record: ConsumerRecord) async -> Bool {
        var pause = configuration.retryPause
        while !Task.isCancelled, !place.isEnded {
            do {
                try await makeDurable(record.record.offset)
                try await configuration.write(record)
                core.count { $0.lastOriginError = nil }
                return true
            } catch {
                note("\(place.place), offset \(record.record.offset): \(error)")
                // Ends early where the task is cancelled.
                try? await core.clock.sleep(for: pause)
                pause = min(pause * 2, configuration.maximumRetryPause)
            }
        }
        return false
    }

    /// The origin must not have what a power cut could take from the log.
    private func makeDurable(_ offset: Int64) async throws(LogError) {
        if place.partition.durableOffset <= offset { try await place.log.flush() }
    }

    private func commit(_ record: ConsumerRecord) async -> Bool {
        let offset = CommittedOffset(record.record.offset + 1, leaderEpoch: record.leaderEpoch)
        do throws(DatabaseError) {
            try await configuration.group.commit([place.place: offset])
            return true
        } catch {
            note("the position of \(place.place): \(error)")
            return false
        }
    }

    private func note(_ text: String) {
        core.count { statistics in
            statistics.originFailures += 1
            statistics.lastOriginError = text
        }
    }
}
