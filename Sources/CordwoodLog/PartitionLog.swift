public import CordwoodStorage

/// A partition's log: the one writer of its files, and the door for its readers.
///
/// An actor that runs on the storage's own executor, so that a group is gathered, written and
/// synced without a change of threads. Appends queue (``GroupCommit`` decides who goes together)
/// while the previous group is on its way to the medium; one sync serves all who wait.
///
/// **After a failed write or sync** the log is poisoned: every waiter fails, no append is taken,
/// and nothing is retried, because the kernel may have marked the lost pages clean and a second
/// sync would then succeed over lost data. What was visible stays readable. Close it and open it
/// again: recovery goes by what is on disk. A write that only found the disk full makes the log
/// read-only until there is space (`PartitionLog+FullDisk.swift`).
public actor PartitionLog<S: Storage>: Log {
    typealias Waiter = AppendWaiter

    nonisolated let storage: S
    nonisolated let directory: StoragePath
    nonisolated let cache: SegmentCache
    nonisolated let state: PartitionState<S>
    private nonisolated let executor: any SerialExecutor
    public nonisolated var unownedExecutor: UnownedSerialExecutor {
        executor.asUnownedSerialExecutor()
    }

    let manifest: ManifestStore<S>
    let structure = StructureLock()
    let compaction = CompactionState()
    var active: ActiveSegment<S>
    var spare = SpareState<S>.missing(tried: nil)
    /// Of segments whose last append lies in the future.
    var retentionSightings: RetentionPlan.Sightings = [:]
    /// Full pages of the active segment's indexes that this log has written. After an opening it
    /// writes all of them, into new files.
    var indexPagesWritten = 0
    /// Whether the active segment was there before this log was opened.
    var inheritsIndexFiles: Bool
    var commit: GroupCommit<Waiter>
    /// Appends that were not looked at yet.
    nonisolated let arrivals = ArrivalQueue()
    var ledger: ProducerLedger
    /// The offsets of the producer snapshots on disk, in order.
    var producerSnapshots: [Int64] = []
    /// Where the active segment ended at the last of them.
    var checkpointedPosition = 0
    /// How far the active segment grows between two snapshots, at least: what an opening after a
    /// crash has to replay. Large snapshots come further apart, by so many times their size.
    var checkpointBytes = 64 << 20
    var checkpointSnapshots = 32
    /// The size of the last snapshot that was written.
    var producerSnapshotBytes = 0
    nonisolated let transactionIndexes = TransactionIndexCache()
    /// Those who wait for another's append; see ``PartitionLog/wait(for:_:)``.
    let groupWaiters = Waiters()
    private(set) var isCommitting = false
    var failure: LogError?
    private(set) var isClosing = false
    /// Appends that wait for room in the queue, in the order in which they came.
    private var roomWaiters: [RoomWaiter] = []
    private var nextTicket: UInt64 = 0
    private var cancelledTickets: Set<UInt64> = []
    /// Bytes of appends that were given room and have not queued yet.
    var grantedBytes = 0
    private let drainWaiters = Waiters()
    /// Calls of ``close()`` that wait for the first one.
    private let closeWaiters = Waiters()
    private var closeError: LogError?
    /// Set while the disk is full.
    var fullDisk: FullDisk?
    var probe: Task<Void, Never>?
    var spaceProbe = SpaceProbe()
    /// Who is told what the log does; nil costs nothing.
    var observer: LogObserver?

    private struct RoomWaiter {
        var ticket: UInt64
        var byteCount: Int
        var continuation: CheckedContinuation<Void, Never>
    }

    /// Opens the log in `directory`, or creates an empty one there, whose files carry `newLogID` or
    /// a random number.
    ///
    /// Recovers first: see ``recovery``. Throws ``LogError/Code/unsupportedFormat`` for files of a
    /// newer version, ``LogError/Code/inconsistent`` and ``LogError/Code/damaged`` for a manifest
    /// that cannot be trusted; nothing was changed then. Only one log may be open on a directory at
    /// a time; the database's lock sees to that.
    public static func open(
        _ directory: StoragePath, on storage: S, configuration: LogConfiguration = .init(),
        cache: SegmentCache = .init(), newLogID: UInt64? = nil
    ) async throws(LogError) -> PartitionLog<S> {
        try configuration.validate()
        var recovery = PartitionRecovery(
            storage: storage, directory: directory, cache: cache, configuration: configuration)
        let opened = try await recovery.open(newLogID: newLogID ?? storage.randomIdentity())
        let log = PartitionLog(
            opened, report: recovery.report, directory: directory, storage: storage, cache: cache,
            configuration: configuration)
        try await log.recoverProducers()
        return log
    }

    private init(
        _ opened: sending PartitionRecovery<S>.Opened, report: RecoveryReport,
        directory: StoragePath, storage: S, cache: SegmentCache, configuration: LogConfiguration
    ) {
        self.cache = cache
        self.storage = storage
        self.directory = directory
        executor = storage.executor
        manifest = opened.manifest
        active = opened.active
        inheritsIndexFiles = opened.isInherited
        commit = GroupCommit(nextOffset: opened.active.end.nextOffset)
        ledger = ProducerLedger(
            ProducerSnapshot(
                at: opened.active.end.nextOffset, segmentBase: opened.active.header.baseOffset))
        state = PartitionState(
            .init(
                configuration: configuration,
                startOffset: max(
                    manifest.manifest.startOffset,
                    opened.sealed.first?.baseOffset ?? opened.active.header.baseOffset),
                epochs: manifest.manifest.epochs, sealed: opened.sealed,
                activeFile: opened.active.file,
                activeHeader: opened.active.header, activeIndex: opened.index,
                activeTimes: opened.times, end: opened.active.end,
                durableOffset: opened.active.end.nextOffset,
                tail: Tail(maximumBytes: configuration.tailBytes), recovery: report))
    }

    /// The offset that the next append will get: what is queued ends here.
    var queuedEnd: Int64 { commit.nextOffset }
    /// How many appends wait for room in the queue.
    var waitingCount: Int { roomWaiters.count }
    /// Whether appends are turned away: the log is closed, closing or poisoned, or its disk full.
    var refusesAppends: Bool { isClosing || failure != nil || fullDisk != nil }

    public func close() async throws(LogError) {
        if isClosing {
            await closeWaiters.wait { !state.read { $0.isClosed } }
            if let closeError { throw closeError }
            return
        }
        isClosing = true
        stopProbe()
        admitWaiters()
        await drainWaiters.wait { isCommitting }
        await compaction.waitForEnd()
        await structure.acquire()
        defer { structure.release() }
        if let failure {
            // A poisoned log vouches for nothing: recovery decides what the disk holds.
            closeError = poisoned(by: failure)
        } else {
            // Appends that nobody waited for may have been refused.
            closeError = fullDisk?.reason
            do throws(StorageError) { try await settle() } catch {
                closeError = LogError(error, while: "closing \(directory)")
            }
        }
        // The files may be opened again as soon as this returns. A failure is in `failure`.
        try? await active.stopWork()
        await discardSpare()
        // Readers are told before the files go.
        state.publish { snapshot in
            snapshot.isClosed = true
            snapshot.health = .closed
        }
        await active.file.close()
        await manifest.close()
        closeWaiters.resumeAll()
        if let closeError { throw closeError }
    }

    private func settle() async throws(StorageError) {
        try await active.settle()
        state.publish { [active] in $0.durableOffset = active.end.nextOffset }
        do throws(StorageError) { try await writeIndexPages(includingLast: true) } catch {
            // A view, which the next opening makes anew.
            if !error.isFullDisk { throw error }
        }
        await writeLastProducerSnapshot()
    }
}

// MARK: - Group commit

extension PartitionLog {
    /// The most batches in one group: bounds the vectors of its write.
    private static var maximumGroupBatches: Int { 4096 }

    func startCommitting() {
        guard !isCommitting, !commit.isEmpty else { return }
        isCommitting = true
        // A task begins on the global pool, from where it would have to come back here first.
        Task.immediate { await onOwnTasksExecutor { await commitGroups() } }
    }

    /// Where the log's own tasks go on after they were suspended.
    func onOwnTasksExecutor(_ work: () async -> Void) async {
        await withTaskExecutorPreference(storage.ownTasksExecutor) { await work() }
    }

    /// Writes groups until the queue is empty or a write fails.
    private func commitGroups() async {
        while failure == nil {
            // What came while a group was written goes with the next one.
            receiveArrivals()
            if commit.isEmpty { break }
            await structure.acquire()
            if failure == nil {
                do throws(StorageError) { try await commitGroup() } catch {
                    _ = await stop(after: error)
                }
            }
            structure.release()
            groupWaiters.resumeAll()
            admitWaiters()
        }
        isCommitting = false
        groupWaiters.resumeAll()
        drainWaiters.resumeAll()
    }

    private func commitGroup() async throws(StorageError) {
        let limits = GroupCommit<Waiter>.Limits(
            bytes: configuration.maximumGroupBytes, batches: Self.maximumGroupBatches)
        let epoch = manifest.manifest.epochs.latest
        try await noteProducers()
        let entries = commit.takeGroup(
            room: roomInSegment, offsets: offsetsInSegment, limits: limits)
        if commit.isEmpty && entries.isEmpty { return }
        guard !entries.isEmpty else {
            do throws(StorageError) { return try await rollLocked() } catch {
                _ = await stop(after: error, rolling: true)
                return
            }
        }
        var group = WrittenGroup(entries: entries, end: active.end)
        group.cursors.reserveCapacity(entries.count)
        var times = active.times
        times.lastAppendTime = storage.clock.millisecondsNow()
        for entry in entries {
            group.cursors.append(group.end)
            entry.batch.assign(baseOffset: entry.baseOffset, epoch: epoch)
            group.end.advance(
                over: entry.batch, nextOffset: entry.baseOffset + Int64(entry.batch.recordCount))
            times.absorb(
                maxTimestamp: entry.batch.maxTimestamp, lastOffset: group.end.nextOffset - 1)
            group.isSynced = group.isSynced || entry.acknowledge == .durable
        }
        do throws(StorageError) {
            let start = observer?.now()
            try await active.write(
                entries.map(\.batch), to: group.end, times: times, sync: group.isSynced)
            if let observer, let start {
                observer.tell(of: entries, synced: group.isSynced, since: start)
            }
        } catch {
            let reason = await stop(
                after: error, neededBytes: entries.reduce(0) { $0 + $1.batch.byteCount },
                loses: entries.contains { $0.acknowledge == .memory })
            for entry in group.entries { entry.waiter?.fail(reason) }
            return
        }
        publish(group)
        tell(group)
        startWorkAhead()
        do throws(StorageError) { try await writeIndexPages(includingLast: false) } catch {
            // The pages wait; the segment has everything that they are made of.
            if !error.isFullDisk { throw error }
        }
        await checkpointProducers()
    }

    private func tell(_ group: WrittenGroup) {
        let now = observer?.now()
        for case let waiter? in group.entries.lazy.map(\.waiter) {
            if let now, let since = waiter.since { observer?.appended(now - since) }
            waiter.succeed()
        }
    }

    private func publish(_ group: WrittenGroup) {
        let interval = configuration.indexIntervalBytes
        // Made before the lock is taken: readers wait for it.
        let batches = group.entries.compactMap { entry in
            BatchHeader(entry.batch.block.unsafeBytes).map {
                RecordBatch(verified: $0, MemorySlice(entry.batch.block))
            }
        }
        let change = ledger.publish(batches)
        state.publish { snapshot in
            for (cursor, batch) in zip(group.cursors, batches) {
                snapshot.activeIndex.note(cursor, interval: interval)
                snapshot.activeTimes.absorb(
                    maxTimestamp: batch.maxTimestamp, following: snapshot.activeIndex)
                snapshot.statistics.appendedRecords += batch.recordCount
                snapshot.statistics.appendedBytes += batch.byteCount
                snapshot.tail.append(batch)
            }
            snapshot.end = group.end
            if let change {
                snapshot.transactions.apply(change, highWatermark: snapshot.highWatermark)
            }
            snapshot.statistics.groups += 1
            if group.isSynced {
                snapshot.statistics.syncs += 1
                snapshot.durableOffset = group.end.nextOffset
            }
        }
    }

    /// A group that was written, and synced where anyone in it asked for that.
    struct WrittenGroup {
        var entries: [GroupCommit<Waiter>.Entry]
        /// Where each of its batches begins.
        var cursors: [SegmentCursor] = []
        var end: SegmentCursor
        var isSynced = false
    }
}

// MARK: - Back-pressure

extension PartitionLog {
    /// Holds an append back while the queue is full, and returns with room granted to it. Appends
    /// get in by the order in which they came, so that none waits for ever; one that is larger than
    /// the queue goes alone.
    func waitForRoom(_ byteCount: Int) async throws(LogError) {
        if takesAtOnce(byteCount) {
            grantedBytes += byteCount
            return
        }
        nextTicket += 1
        let ticket = nextTicket
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                // There may be room by now: see ``Waiters``.
                if takesAtOnce(byteCount) {
                    grantedBytes += byteCount
                    continuation.resume()
                    return
                }
                roomWaiters.append(
                    RoomWaiter(ticket: ticket, byteCount: byteCount, continuation: continuation))
                // Cancelled before there was anyone to give up.
                if Task.isCancelled { giveUpRoom(ticket) }
            }
        } onCancel: {
            Task(executorPreference: storage.ownTasksExecutor) { await self.giveUpRoom(ticket) }
        }
        if cancelledTickets.remove(ticket) != nil {
            throw LogError(.cancelled, "the append waited for room in the queue")
        }
    }

    /// Whether an append may be queued now: there is room, and nobody waits for it.
    func takesAtOnce(_ byteCount: Int) -> Bool { roomWaiters.isEmpty && hasRoom(byteCount) }

    /// A log that takes no more appends lets all come and be told so.
    private func hasRoom(_ byteCount: Int) -> Bool {
        let taken = commit.queuedBytes + grantedBytes
        return refusesAppends || taken == 0
            || taken + byteCount <= configuration.maximumQueuedBytes
    }

    private func giveUpRoom(_ ticket: UInt64) {
        guard let index = roomWaiters.firstIndex(where: { $0.ticket == ticket }) else { return }
        cancelledTickets.insert(ticket)
        roomWaiters.remove(at: index).continuation.resume()
        // The next one may be smaller.
        admitWaiters()
    }

    func admitWaiters() {
        var count = 0
        while count < roomWaiters.count, hasRoom(roomWaiters[count].byteCount) {
            grantedBytes += roomWaiters[count].byteCount
            roomWaiters[count].continuation.resume()
            count += 1
        }
        roomWaiters.removeFirst(count)
    }
}
