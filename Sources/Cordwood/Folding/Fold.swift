public import CordwoodLog
import CordwoodStorage

/// A state made of a topic's records: event sourcing.
///
/// The state is a view of the log. It says up to which offsets it is true (``offsets``), it is made
/// anew from the log where its snapshot is missing or damaged, and it is the same then: the records
/// of a partition are folded in their order. Those of several partitions are folded in no
/// particular order, so the function's result must not depend on that.
///
/// ``value()`` folds what is new before it answers; ``follow()`` does so all the time, for a state
/// that is always warm. All members may be used from any task at any time.
///
/// After a truncation of the log below what was folded, the state is made anew. When retention has
/// deleted records that were never folded, ``value()`` throws
/// ``DatabaseError/Code/offsetOutOfRange``; ``rebuild()`` starts from what the log holds.
public actor Fold<State: Sendable> {
    /// The function that folds a record into the state.
    public typealias Apply = @Sendable (inout State, ConsumerRecord) throws -> Void

    /// About how much is read at a time.
    private static var readBytes: Int { 1 << 20 }

    private let topic: Topic
    private let isolation: Isolation
    private let initial: State
    private let apply: Apply
    private let snapshots: FoldSnapshots<State>?
    private let claim: ViewClaim?
    private var state: State
    private var positions: [Int64]
    /// The truncations of each log that the state knows of.
    private var truncations: [KnownTruncations]
    private var recordsSinceSnapshot = 0
    /// Nothing was folded yet: the start is where the log's is when it is first read.
    private var isFresh = true
    /// False after the function threw: it may have changed half of the state.
    private var isTrue = true
    private let turns = AsyncLock()

    /// The offsets up to which the state is true, one for each partition.
    public var offsets: [Int64] { positions }
    /// What was noteworthy about snapshots: one that could not be used, or not be written; at most
    /// the latest 16.
    public private(set) var notes: [String] = []

    init(
        _ topic: Topic, _ initial: State, _ snapshots: FoldSnapshots<State>?, claim: ViewClaim?,
        isolation: Isolation, apply: @escaping Apply
    ) {
        self.topic = topic
        self.initial = initial
        self.snapshots = snapshots
        self.claim = claim
        self.isolation = isolation
        self.apply = apply
        state = initial
        positions = topic.partitions.map(\.startOffset)
        truncations = topic.partitions.map { KnownTruncations($0.log.truncations) }
    }

    // MARK: Values

    /// The state after every record that was in the topic when this was called.
    public func value() async throws(DatabaseError) -> State {
        try await turns.withLock { () async throws(DatabaseError) in
            try await self.catchUp()
            return self.state
        }
    }

    /// The state after the records of an append, and so whoever appends can read what came of it.
    /// Waits for records that readers of the fold's isolation do not see yet. Throws what became of
    /// those that were appended to memory only and will never be written.
    public func value(atLeast receipt: Receipt) async throws(DatabaseError) -> State {
        for position in receipt.positions { try await wait(for: position, wasAppended: true) }
        return try await value()
    }

    /// The state after a record. Waits for one that is not there yet; a cancelled task throws
    /// ``DatabaseError/Code/cancelled``.
    public func value(atLeast position: RecordPosition) async throws(DatabaseError) -> State {
        try await wait(for: position)
        return try await value()
    }

    private func wait(
        for position: RecordPosition, wasAppended: Bool = false
    ) async throws(DatabaseError) {
        guard topic.partitions.indices.contains(position.partition) else {
            throw DatabaseError(
                .offsetOutOfRange,
                "topic \(topic.name) has no partition \(position.partition)")
        }
        let partition = topic.partitions[position.partition]
        while positions[position.partition] <= position.offset,
            partition.endOffset(for: isolation) <= position.offset
        {
            if partition.log.isClosed { throw DatabaseError(.closed, "topic \(topic.name)") }
            if Task.isCancelled { throw DatabaseError(.cancelled, "a fold of \(topic.name)") }
            if wasAppended, partition.endOffset <= position.offset {
                do {
                    try await partition.log.wait(
                        for: position.offset..<position.offset + 1, .written)
                } catch { throw DatabaseError(error, "\(topic.name)[\(partition.number)]") }
                continue
            }
            await partition.log.waitForRecords(at: position.offset, isolation: isolation)
        }
    }

    /// Folds records as they come, until the database is closed or the task cancelled; throws what
    /// ``value()`` would.
    public func follow() async throws(DatabaseError) {
        let (partitions, isolation) = (topic.partitions, isolation)
        while !Task.isCancelled, !partitions.contains(where: \.log.isClosed) {
            do throws(DatabaseError) { _ = try await value() } catch {
                if error.code == .closed { return }
                throw error
            }
            let (positions, truncations) = (positions, truncations.map(\.count))
            await withTaskGroup(of: Void.self) { tasks in
                for partition in partitions {
                    let position = positions[partition.number]
                    let truncations = truncations[partition.number]
                    tasks.addTask {
                        await partition.log.waitForRecords(
                            at: position, isolation: isolation, truncations: truncations)
                    }
                }
                await tasks.next()
                tasks.cancelAll()
            }
        }
    }

    /// Makes the state anew from what the log holds, without the snapshot.
    public func rebuild() async throws(DatabaseError) -> State {
        try await turns.withLock { () async throws(DatabaseError) in
            self.reset()
            try await self.catchUp()
            return self.state
        }
    }

    /// Folds what is new, makes it durable where it is not, and writes a snapshot. Throws nothing for
    /// a snapshot that could not be written: ``notes`` says so.
    public func takeSnapshot() async throws(DatabaseError) {
        try await turns.withLock { () async throws(DatabaseError) in
            try await self.catchUp()
            await self.flush()
            await self.writeSnapshot()
        }
    }

    /// Makes durable what was folded: a snapshot is not written of what could be lost.
    private func flush() async {
        for partition in topic.partitions
        where positions[partition.number] > partition.durableOffset {
            do throws(LogError) { try await partition.log.flush() } catch {
                note("a snapshot could not be written: partition \(partition.number): \(error)")
            }
        }
    }

    // MARK: Folding

    private func reset() {
        state = initial
        positions = topic.partitions.map(\.startOffset)
        recordsSinceSnapshot = 0
        (isFresh, isTrue) = (true, true)
    }

    /// Folds all that is there, partition by partition. The caller holds the turn.
    private func catchUp() async throws(DatabaseError) {
        if !isTrue {
            reset()
            try await resume()
        }
        repeat {
            followTruncations()
            if isFresh { positions = topic.partitions.map(\.startOffset) }
        } while try await !foldWhatIsNew()
    }

    /// False where a log was truncated meanwhile below what was folded.
    private func foldWhatIsNew() async throws(DatabaseError) -> Bool {
        for partition in topic.partitions {
            // What comes while this one is read is for the next time: it ends.
            let end = partition.endOffset(for: isolation)
            while positions[partition.number] < end {
                let position = positions[partition.number]
                let batches: [RecordBatch]
                do throws(LogError) {
                    batches = try await partition.log.read(
                        from: position, maximumBytes: Self.readBytes, isolation: isolation)
                } catch {
                    if isCut { return false }
                    throw failure(error, partition, position)
                }
                // What was read may be what took the place of records that were folded.
                if isCut { return false }
                if batches.isEmpty {
                    // Up to there was nothing for this reader: markers, or what was aborted.
                    positions[partition.number] = end
                    break
                }
                for batch in batches { try fold(batch, of: partition) }
                if let snapshots, recordsSinceSnapshot >= snapshots.everyRecords {
                    await writeSnapshot()
                }
            }
        }
        return true
    }

    private func fold(_ batch: RecordBatch, of partition: Partition) throws(DatabaseError) {
        let place = TopicPartition(topic.name, partition.number)
        isFresh = false
        var records: RecordReader?
        func next() throws(DatabaseError) -> StoredRecord? {
            do {
                if records == nil { records = try RecordReader(batch) }
                return try records?.next()
            } catch { throw DatabaseError(error, "\(place)") }
        }
        while !batch.isControl, let record = try next() {
            guard record.offset >= positions[partition.number] else { continue }
            do {
                try apply(
                    &state,
                    ConsumerRecord(
                        place: place, record: record, leaderEpoch: batch.leaderEpoch, since: 0))
            } catch {
                // A copy from before each record would cost as much as the state.
                isTrue = false
                throw DatabaseError(
                    .foldFailed, "\(place), offset \(record.offset)", cause: error)
            }
            positions[partition.number] = record.offset + 1
            recordsSinceSnapshot += 1
        }
        positions[partition.number] = max(positions[partition.number], batch.lastOffset + 1)
    }

    private func failure(
        _ error: LogError, _ partition: Partition, _ position: Int64
    ) -> DatabaseError {
        let place = "\(topic.name)[\(partition.number)]"
        guard error.code == .offsetOutOfRange else { return DatabaseError(error, place) }
        return DatabaseError(
            .offsetOutOfRange,
            "\(place): records from \(position) on were deleted before they were folded; "
                + "rebuild() starts from what the log holds", cause: error)
    }

    /// Whether a log was truncated below what was folded.
    private var isCut: Bool {
        topic.partitions.contains { partition in
            let lowest = truncations[partition.number].lowest(of: partition.log.truncations)
            return lowest.map { $0 < positions[partition.number] } ?? false
        }
    }

    private func followTruncations() {
        var isCut = false
        for partition in topic.partitions {
            let lowest = truncations[partition.number].follow(partition.log.truncations)
            if let lowest, lowest < positions[partition.number] { isCut = true }
        }
        if isCut {
            note("the log was truncated below what was folded; the state is made anew")
            reset()
        }
    }

    // MARK: Snapshots

    /// Begins with the snapshot, where there is one that is true.
    func resume() async throws(DatabaseError) {
        guard let snapshots, let claim, let file = try await topic.views.read(claim) else { return }
        let snapshot: FoldSnapshot
        do { snapshot = try FoldSnapshot(file) } catch { return reject(error.reason) }
        guard snapshot.topic == topic.name else {
            throw DatabaseError(
                .configurationMismatch,
                "the snapshots \(claim.name) are of topic \(snapshot.topic), not \(topic.name)")
        }
        guard snapshot.stateVersion == snapshots.version else {
            return reject(
                "expected state version \(snapshots.version), found \(snapshot.stateVersion)")
        }
        guard snapshot.positions.count == topic.partitions.count else {
            return reject("the topic has another number of partitions")
        }
        for (partition, position) in zip(topic.partitions, snapshot.positions) {
            if let reason = await partition.log.refusal(of: position) {
                return reject("partition \(partition.number) \(reason)")
            }
        }
        guard let state = snapshots.decode(snapshot.state) else {
            return reject("the state does not decode")
        }
        self.state = state
        positions = snapshot.positions.map(\.offset)
        isFresh = false
    }

    private func reject(_ reason: String) {
        note("the snapshot was not used: \(reason); the state is made anew from the log")
    }

    /// Writes the state, unless it has records that a power cut could still take away: a snapshot
    /// that is ahead of its log would be of another history.
    private func writeSnapshot() async {
        guard let snapshots, let claim,
            topic.partitions.allSatisfy({ positions[$0.number] <= $0.durableOffset })
        else { return }
        recordsSinceSnapshot = 0
        var places: [FoldSnapshot.Position] = []
        for partition in topic.partitions {
            places.append(await partition.log.position(at: positions[partition.number]))
        }
        // What was looked up may be of another history than the state.
        if isCut { return }
        let snapshot = FoldSnapshot(
            stateVersion: snapshots.version, topic: topic.name, positions: places,
            state: snapshots.encode(state))
        guard let bytes = snapshot.encode() else {
            return note("the state is larger than \(FoldSnapshot.maximumBytes) bytes")
        }
        do throws(StorageError) { try await topic.views.replace(claim, with: bytes) } catch {
            note("a snapshot could not be written: \(error)")
        }
    }

    private func note(_ text: String) {
        if notes.count == 16 { notes.removeFirst() }
        notes.append(text)
    }
}

extension Topic {
    /// Folds the topic's records, from the first one that the log holds on, into a state.
    ///
    /// With `snapshots` it goes on from the last one; where that is damaged or of another version,
    /// from the log, with a note. Nothing is read before the first ``Fold/value()``.
    ///
    /// Throws ``DatabaseError/Code/viewInUse`` and ``DatabaseError/Code/configurationMismatch`` for
    /// snapshots that are another fold's.
    public func fold<State: Sendable>(
        into initial: State, snapshots: FoldSnapshots<State>? = nil,
        isolation: Isolation = .committed, apply: @escaping Fold<State>.Apply
    ) async throws(DatabaseError) -> Fold<State> {
        if let snapshots, snapshots.everyRecords < 1 {
            throw DatabaseError(
                .invalidConfiguration,
                "everyRecords: expected 1 or more, found \(snapshots.everyRecords)")
        }
        let claim = snapshots == nil ? nil : try views.claim(snapshots!.name)
        let fold = Fold(
            self, initial, snapshots, claim: claim, isolation: isolation, apply: apply)
        try await fold.resume()
        return fold
    }
}
