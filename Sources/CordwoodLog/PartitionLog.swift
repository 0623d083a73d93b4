public import CordwoodStorage

/// A partition's log: the one writer of its files, and the door for its readers.
///
/// An actor that runs on the storage's own executor, so that a group is gathered, written and
/// synced without a change of threads. Appends queue (``GroupCommit`` decides who goes together)
/// while the previous group is on its way to the medium; one sync serves all who wait.
///
/// **After a failed write or sync** the log is poisoned: every waiter fails, no append is taken, and
/// nothing is retried, because the kernel may have marked the lost pages clean and a second sync
/// would then succeed over lost data. What was visible stays readable. Close it and open it again:
/// recovery goes by what is on disk.
public actor PartitionLog<S: Storage>: Log {
    typealias Waiter = CheckedContinuation<Result<Void, LogError>, Never>

    public nonisolated let configuration: LogConfiguration
    public nonisolated let recovery: RecoveryReport
    nonisolated let storage: S
    nonisolated let directory: StoragePath
    nonisolated let state: PartitionState<S>
    private nonisolated let executor: any SerialExecutor
    public nonisolated var unownedExecutor: UnownedSerialExecutor {
        executor.asUnownedSerialExecutor()
    }

    let manifestLog: EditLog<S.File>
    var active: ActiveSegment<S>
    var indexPagesWritten: Int
    private var commit: GroupCommit<Waiter>
    private var isCommitting = false
    private var failure: LogError?
    private var isClosing = false
    /// Appends that wait for room in the queue, in the order in which they came.
    private var roomWaiters: [(ticket: UInt64, continuation: CheckedContinuation<Void, Never>)] = []
    private var nextTicket: UInt64 = 0
    private var drainWaiters: [CheckedContinuation<Void, Never>] = []

    /// Opens the log in `directory`, or creates an empty one there, whose files carry `newLogID`.
    ///
    /// Recovers first: see ``recovery``. Throws ``LogError/Code/unsupportedFormat`` for files of a
    /// newer version, ``LogError/Code/inconsistent`` and ``LogError/Code/damaged`` for a manifest
    /// that cannot be trusted; nothing was changed then. Only one log may be open on a directory at
    /// a time; the database's lock sees to that.
    public static func open(
        _ directory: StoragePath, on storage: S, configuration: LogConfiguration = .init(),
        newLogID: UInt64 = .random(in: 1...UInt64.max)
    ) async throws(LogError) -> PartitionLog<S> {
        try configuration.validate()
        var recovery = PartitionRecovery(
            storage: storage, directory: directory, configuration: configuration)
        let opened = try await recovery.open(newLogID: newLogID)
        return PartitionLog(
            opened, report: recovery.report, directory: directory, storage: storage,
            configuration: configuration)
    }

    private init(
        _ opened: sending PartitionRecovery<S>.Opened, report: RecoveryReport,
        directory: StoragePath, storage: S, configuration: LogConfiguration
    ) {
        self.configuration = configuration
        self.storage = storage
        self.directory = directory
        recovery = report
        executor = storage.executor
        manifestLog = opened.manifestLog
        active = opened.active
        indexPagesWritten = opened.index.entries.count / IndexPage.capacity
        commit = GroupCommit(nextOffset: opened.active.end.nextOffset)
        state = PartitionState(
            .init(
                sealed: opened.sealed, activeFile: opened.active.file,
                activeHeader: opened.active.header, activeIndex: opened.index,
                end: opened.active.end, durableOffset: opened.active.end.nextOffset,
                tail: Tail(maximumBytes: configuration.tailBytes)))
    }

    public nonisolated func append(
        _ records: [Record], acknowledge: Acknowledgement = .durable
    ) async throws(LogError) -> Range<Int64> {
        let encoder = RecordBatchEncoder(maximumBatchBytes: configuration.maximumBatchBytes)
        let batches = try encoder.encode(records, now: storage.clock.millisecondsNow())
        return try await append(batches, acknowledge: acknowledge)
    }

    public nonisolated func check(_ records: [Record]) throws(LogError) {
        let encoder = RecordBatchEncoder(maximumBatchBytes: configuration.maximumBatchBytes)
        try encoder.check(records, now: storage.clock.millisecondsNow())
    }

    /// Appends batches that were encoded on the caller's own thread.
    package func append(
        _ batches: [EncodedBatch], acknowledge: Acknowledgement
    ) async throws(LogError) -> Range<Int64> {
        try await waitForRoom(batches.reduce(0) { $0 + $1.byteCount })
        if let failure { throw poisoned(by: failure) }
        if isClosing { throw LogError(.closed, "\(directory) was closed") }
        if acknowledge == .memory {
            let offsets = commit.enqueue(batches, acknowledge: acknowledge, waiter: nil)
            startCommitting()
            return offsets
        }
        var offsets: Range<Int64> = 0..<0
        let result = await withCheckedContinuation { waiter in
            offsets = commit.enqueue(batches, acknowledge: acknowledge, waiter: waiter)
            startCommitting()
        }
        try result.get()
        return offsets
    }

    public func close() async throws(LogError) {
        if isClosing { return }
        isClosing = true
        for waiter in roomWaiters { waiter.continuation.resume() }
        roomWaiters = []
        if isCommitting { await withCheckedContinuation { drainWaiters.append($0) } }
        defer { state.publish { $0.isClosed = true } }
        let settled: Result<Void, StorageError>
        if failure == nil {
            settled = await settle()
        } else {
            // A poisoned log vouches for nothing: recovery decides what the disk holds.
            settled = .success(())
        }
        await active.file.close()
        await manifestLog.close()
        if case .failure(let error) = settled {
            throw LogError(error, while: "closing \(directory)")
        }
    }

    private func settle() async -> Result<Void, StorageError> {
        do throws(StorageError) {
            try await active.settle()
            try await writeIndexPages(includingLast: true)
            return .success(())
        } catch { return .failure(error) }
    }
}

// MARK: - Group commit

extension PartitionLog {
    /// The most batches in one group: bounds the vectors of its write.
    private static var maximumGroupBatches: Int { 4096 }

    private func startCommitting() {
        guard !isCommitting else { return }
        isCommitting = true
        Task { await commitGroups() }
    }

    /// Writes groups until the queue is empty or a write fails.
    private func commitGroups() async {
        while !commit.isEmpty, failure == nil {
            do throws(StorageError) { try await commitGroup() } catch { poison(error) }
            releaseRoom()
        }
        isCommitting = false
        for waiter in drainWaiters { waiter.resume() }
        drainWaiters = []
    }

    private func commitGroup() async throws(StorageError) {
        let limits = GroupCommit<Waiter>.Limits(
            bytes: configuration.maximumGroupBytes, batches: Self.maximumGroupBatches)
        let group = commit.takeGroup(room: roomInSegment, limits: limits)
        guard !group.isEmpty else { return try await roll() }
        var end = active.end
        var cursors: [SegmentCursor] = []
        cursors.reserveCapacity(group.count)
        for entry in group {
            cursors.append(end)
            entry.batch.assign(baseOffset: entry.baseOffset)
            end.advance(
                over: entry.batch, nextOffset: entry.baseOffset + Int64(entry.batch.recordCount))
        }
        let sync = group.contains { $0.acknowledge == .durable }
        do throws(StorageError) {
            try await active.write(group.map(\.batch), to: end, sync: sync)
        } catch {
            let reason = LogError(error, while: "writing to \(directory)")
            for entry in group { entry.waiter?.resume(returning: .failure(reason)) }
            throw error
        }
        publish(group, cursors, synced: sync)
        for entry in group { entry.waiter?.resume(returning: .success(())) }
        try await writeIndexPages(includingLast: false)
    }

    /// Room in bytes; none when the segment's offsets would no longer fit in 31 bits.
    private var roomInSegment: Int {
        let span = active.end.nextOffset - active.header.baseOffset
        // A batch of the largest size holds fewer records than bytes.
        return span + Int64(configuration.maximumBatchBytes) > Int64(Int32.max) ? 0 : active.room
    }

    private func publish(
        _ group: [GroupCommit<Waiter>.Entry], _ cursors: [SegmentCursor], synced: Bool
    ) {
        let end = active.end
        let interval = configuration.indexIntervalBytes
        state.publish { snapshot in
            for (entry, cursor) in zip(group, cursors) {
                snapshot.activeIndex.note(cursor, interval: interval)
                snapshot.statistics.appendedRecords += entry.batch.recordCount
                snapshot.statistics.appendedBytes += entry.batch.byteCount
                if let header = BatchHeader(entry.batch.block.unsafeBytes) {
                    snapshot.tail.append(
                        RecordBatch(verified: header, MemorySlice(entry.batch.block)))
                }
            }
            snapshot.end = end
            snapshot.statistics.groups += 1
            if synced {
                snapshot.statistics.syncs += 1
                snapshot.durableOffset = end.nextOffset
            }
        }
    }

    private func poison(_ error: StorageError) {
        let reason = LogError(error, while: "writing to \(directory)")
        failure = reason
        for waiter in commit.fail() { waiter.resume(returning: .failure(poisoned(by: reason))) }
    }

    private func poisoned(by reason: LogError) -> LogError {
        LogError(
            .poisoned,
            "\(directory) takes no more appends after \(reason.message); reads keep working; "
                + "close it and open it again to recover", cause: reason.cause)
    }
}

// MARK: - Back-pressure

extension PartitionLog {
    /// Holds an append back while the queue is full. An append that is larger than the queue goes
    /// alone.
    private func waitForRoom(_ byteCount: Int) async throws(LogError) {
        while !isClosing, failure == nil, commit.queuedBytes > 0,
            commit.queuedBytes + byteCount > configuration.maximumQueuedBytes
        {
            if Task.isCancelled {
                throw LogError(.cancelled, "the append waited for room in the queue")
            }
            nextTicket += 1
            let ticket = nextTicket
            await withTaskCancellationHandler {
                await withCheckedContinuation { roomWaiters.append((ticket, $0)) }
            } onCancel: {
                Task { await self.giveUpRoom(ticket) }
            }
        }
    }

    private func giveUpRoom(_ ticket: UInt64) {
        guard let index = roomWaiters.firstIndex(where: { $0.ticket == ticket }) else { return }
        roomWaiters.remove(at: index).continuation.resume()
    }

    private func releaseRoom() {
        let waiting = roomWaiters
        roomWaiters = []
        for waiter in waiting { waiter.continuation.resume() }
    }
}
