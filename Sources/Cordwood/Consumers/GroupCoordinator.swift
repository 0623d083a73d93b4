import CordwoodLog
import CordwoodStorage

/// Keeps what consumer groups commit: appends to `__consumer_offsets` and answers from the view of
/// it that it holds in memory.
///
/// A commit is visible to ``committed(_:)`` when it is acknowledged.
actor GroupCoordinator {
    private let log: any Log
    nonisolated let clock: any WallClock
    private let resolveTopic: @Sendable (String) async throws(DatabaseError) -> Topic
    private var table: OffsetTable
    nonisolated let sessions: GroupSessions
    private var activity: GroupActivity
    /// Groups whose offsets are being given up, and the commits that wait for the end of it.
    private var expiring: [String: Waiters] = [:]
    /// Appends that have not returned, and transactions' offsets that are not decided.
    private var appends = 0

    /// Replays the topic: O(its bytes).
    static func open(
        _ log: any Log, clock: any WallClock,
        resolveTopic: @escaping @Sendable (String) async throws(DatabaseError) -> Topic
    ) async throws(DatabaseError) -> GroupCoordinator {
        var table = OffsetTable(appliedOffset: log.startOffset)
        let now = clock.millisecondsNow()
        var activity = GroupActivity(openedAt: now)
        // Offsets that belong to a transaction count once it is committed.
        var records = RecordSequence(
            log, from: log.startOffset, following: false, isolation: .committed
        ).makeAsyncIterator()
        while true {
            let next: StoredRecord?
            do { next = try await records.next() } catch { throw Self.failure(error) }
            guard let record = next else { break }
            let offset = try OffsetRecord(record)
            table.apply(offset, at: record.offset)
            activity.note(offset.group, at: min(offset.committed?.timestamp ?? 0, now))
        }
        table.purge()
        return GroupCoordinator(
            log, clock: clock, table: table, activity: activity, resolveTopic: resolveTopic)
    }

    private init(
        _ log: any Log, clock: any WallClock, table: OffsetTable, activity: GroupActivity,
        resolveTopic: @escaping @Sendable (String) async throws(DatabaseError) -> Topic
    ) {
        self.log = log
        self.clock = clock
        self.table = table
        self.activity = activity
        sessions = GroupSessions(clock: clock)
        self.resolveTopic = resolveTopic
    }

    var groupNames: [String] { table.groupNames }
    /// Every commit before this offset of the topic is in the view.
    var appliedOffset: Int64 { table.appliedOffset }

    func committed(_ group: String) -> [TopicPartition: CommittedOffset] {
        table.committed(group)
    }

    func committed(_ group: String, _ place: TopicPartition) -> CommittedOffset? {
        table.committed(group, place)
    }

    /// Throws for offsets that cannot be committed, and partitions that there are not.
    func validate(
        _ offsets: [TopicPartition: CommittedOffset]
    ) async throws(DatabaseError) {
        for (place, offset) in offsets {
            try offset.validate(place)
            try InternalTopic.checkIsCallers(place.topic)
            let topic = try await resolveTopic(place.topic)
            guard topic.partitions.indices.contains(place.partition) else {
                throw DatabaseError(
                    .invalidOffset,
                    "topic \(place.topic) has \(topic.partitions.count) partitions; there is no "
                        + "partition \(place.partition)")
            }
        }
    }

    /// The records of a commit that was admitted, all in one batch, so that they take effect
    /// together; once they may be appended. Throws ``DatabaseError/Code/invalidOffset`` for more than
    /// one batch holds.
    func records(
        _ group: String, _ offsets: [TopicPartition: CommittedOffset?]
    ) async throws(DatabaseError) -> [OffsetRecord] {
        // What is deleted for its age must not take a commit with it that came meanwhile.
        while let waiters = expiring[group] {
            await waiters.wait { expiring[group] === waiters }
        }
        let now = clock.millisecondsNow()
        var records: [OffsetRecord] = []
        // What a record and its batch add to the bytes of keys and values, at most.
        let (recordOverhead, batchOverhead) = (64, 128)
        var byteCount = batchOverhead
        for (place, offset) in offsets.sorted(by: { $0.key < $1.key }) {
            var committed = offset
            if committed != nil, committed?.timestamp == nil { committed?.timestamp = now }
            let record = OffsetRecord(group: group, place: place, committed: committed)
            let encoded = record.encode()
            byteCount += recordOverhead + (encoded.key?.count ?? 0) + (encoded.value?.count ?? 0)
            records.append(record)
        }
        let limit = log.configuration.maxMessageBytes
        guard byteCount <= limit else {
            throw DatabaseError(
                .invalidOffset,
                "a commit of \(offsets.count) offsets takes \(byteCount) bytes, expected at most "
                    + "\(limit); nothing was committed")
        }
        return records
    }

    /// Appends a commit and applies it to the view. nil in place of an offset deletes it.
    func write(
        _ group: String, _ offsets: [TopicPartition: CommittedOffset?],
        acknowledge: Acknowledgement
    ) async throws(DatabaseError) {
        try await append(try await records(group, offsets), acknowledge)
    }

    private func append(
        _ records: [OffsetRecord], _ acknowledge: Acknowledgement
    ) async throws(DatabaseError) {
        if records.isEmpty { return }
        appends += 1
        defer {
            appends -= 1
            if appends == 0 { table.purge() }
        }
        let written: Range<Int64>
        do {
            written = try await log.append(
                records.map { $0.encode() }, acknowledge: acknowledge)
        } catch { throw Self.failure(error) }
        apply(zip(records, written).map { (record: $0, logOffset: $1) })
    }

    /// Keeps deletions in mind while a transaction may still apply an older offset. Ended by
    /// ``endTransactional()``.
    func beginTransactional() { appends += 1 }

    func endTransactional() {
        appends -= 1
        if appends == 0 { table.purge() }
    }

    /// Applies the offsets of a transaction that was committed, or of an append.
    func apply(_ offsets: [(record: OffsetRecord, logOffset: Int64)]) {
        let now = clock.millisecondsNow()
        for (record, offset) in offsets {
            table.apply(record, at: offset)
            if record.committed != nil { activity.note(record.group, at: now) }
        }
    }

    // MARK: Expiry

    /// How many commits wait for the end of their group's expiry.
    var waitingCommits: Int { expiring.values.reduce(0) { $0 + $1.count } }

    /// How many deletions go into one batch; the largest key has about half a KiB.
    private static var expiryBatchRecords: Int { 512 }

    /// Gives up the offsets of groups that have had no consumers and no commits for `retention`
    /// milliseconds or longer, durably. What fails is tried again at the next call.
    func expire(now: Int64, after retention: Int64) async throws(DatabaseError) {
        for (group, time) in sessions.takeDepartures() where table.holds(group) {
            activity.note(group, at: time)
        }
        for group in table.groupNames {
            let session = sessions.session(group)
            // From here to `expiring` nothing is awaited: a commit is before it or waits.
            guard
                activity.isExpired(
                    group, hasConsumers: session.hasMembers, now: now, after: retention),
                let commit = session.beginExpiry()
            else { continue }
            expiring[group] = Waiters()
            defer {
                session.end(commit)
                expiring.removeValue(forKey: group)?.resumeAll()
            }
            var places = table.committed(group).keys.sorted()[...]
            while !places.isEmpty {
                let deletions = places.prefix(Self.expiryBatchRecords).map {
                    OffsetRecord(group: group, place: $0, committed: nil)
                }
                try await append(deletions, .durable)
                places = places.dropFirst(deletions.count)
            }
            activity.forget(group)
        }
    }

    private static func failure(_ error: LogError) -> DatabaseError {
        DatabaseError(error, InternalTopic.consumerOffsets.rawValue)
    }
}
