import CordwoodStorage

/// Changes to what the log consists of, one at a time, each made true by one commit to the
/// manifest.
extension PartitionLog {
    public func roll() async throws(LogError) {
        try await changingStructure("rolling") { () async throws(StorageError) in
            if active.end.nextOffset > active.header.baseOffset { try await rollLocked() }
        }
    }

    /// Runs a change under the structure lock. A failure of the storage inside it poisons the log:
    /// how far the change came is for recovery to find out. A full disk makes it read-only, so a
    /// change must be one commit to the manifest, or nothing has happened before its last.
    func changingStructure(
        _ doing: String, _ change: () async throws(StorageError) -> Void
    ) async throws(LogError) {
        await structure.acquire()
        defer { structure.release() }
        try checkAppendable()
        do throws(StorageError) { try await change() } catch {
            let reason = await stop(after: error)
            if reason.code == .readOnly { throw reason }
            throw LogError(error, while: "\(doing) \(directory)")
        }
    }

    /// Throws why the log takes no changes any more, if it does not.
    func checkAppendable() throws(LogError) {
        if let failure { throw poisoned(by: failure) }
        if isClosing { throw LogError(.closed, "\(directory) was closed") }
    }

    public func flush() async throws(LogError) {
        try await changingStructure("flushing") { () async throws(StorageError) in
            try await flushLocked()
        }
    }

    /// Makes durable what was written, so that an edit of the manifest may speak of it: one that
    /// names offsets which a crash then takes away would contradict the segment. The caller holds
    /// the structure lock.
    private func flushLocked() async throws(StorageError) {
        guard active.durable != active.end else { return }
        try await active.flush()
        state.publish { [active] in
            $0.durableOffset = active.end.nextOffset
            $0.statistics.syncs += 1
        }
    }

    // MARK: The start

    @discardableResult
    public func deleteRecords(before offset: Int64) async throws(LogError) -> Int64 {
        let end = highWatermark
        guard offset <= end else {
            throw LogError(
                .offsetOutOfRange,
                "\(directory): expected an offset up to the high watermark, \(end), found \(offset)"
            )
        }
        try await changingStructure("trimming") { () async throws(StorageError) in
            guard offset > startOffset else { return }
            if offset > active.durable.nextOffset { try await flushLocked() }
            try await removeOldest(startingAt: offset) { $0.end.nextOffset <= offset }
        }
        await removeGarbage()
        return startOffset
    }

    /// The most segments that one edit removes.
    private static var maximumRemovals: Int { 10_000 }

    /// Gives up the oldest sealed segments for as long as `isGone` says so, with everything before
    /// `offset`, by one commit. The caller holds the structure lock, and calls ``removeGarbage()``
    /// after it let go of it.
    func removeOldest(
        startingAt offset: Int64, while isGone: (SegmentInfo) -> Bool
    ) async throws(StorageError) {
        let gone = manifest.manifest.sealed.prefix(while: isGone).map(\.id)
        let next = manifest.manifest.sealed.dropFirst(gone.count).first?.id ?? active.header.id
        let start = max(offset, gone.isEmpty ? 0 : next.baseOffset, startOffset)
        var edits: [SegmentEdit] = []
        // First the offset: a prefix of the edits must not bring records back.
        if start > manifest.manifest.startOffset { edits.append(.startOffset(start)) }
        // In pieces: an edit has a largest size.
        for first in stride(from: 0, to: gone.count, by: Self.maximumRemovals) {
            edits.append(
                .remove(Array(gone[first..<min(first + Self.maximumRemovals, gone.count)])))
        }
        guard !edits.isEmpty else { return }
        try await manifest.commit(edits)
        state.publish { snapshot in
            snapshot.startOffset = start
            snapshot.sealed.removeFirst(gone.count)
        }
        if !gone.isEmpty {
            observer?.happened(.gaveUp(segments: gone.count, startOffset: start))
        }
    }

    /// Removes files that the manifest has given up. Readers that hold them keep them.
    func removeGarbage() async {
        // A file that cannot be removed now is tried again; no record depends on it.
        _ = await manifest.removeGarbage()
    }

    // MARK: The end

    @discardableResult
    public func truncate(to offset: Int64) async throws(LogError) -> Int64 {
        await structure.acquire()
        defer { structure.release() }
        try checkAppendable()
        let (start, end) = (startOffset, active.end.nextOffset)
        guard offset >= start, offset <= end else {
            throw LogError(
                .offsetOutOfRange,
                "\(directory): expected an offset from \(start) to \(end) to truncate to, "
                    + "found \(offset)")
        }
        if offset == end { return end }
        var found = try await place(toCutAt: offset)
        // The batch began before the log does: nothing of it can be read.
        if found.offset < start { found = Cut(offset: start) }
        let states = try await producers(at: found.offset)
        do throws(StorageError) {
            try await active.stopWork()
            if found.isInActive { try await flushLocked() }
            try await cut(to: found, states)
        } catch {
            poison(error)
            throw LogError(error, while: "truncating \(directory)")
        }
        await removeGarbage()
        return found.offset
    }

    /// Where a truncation ends the log.
    private struct Cut {
        /// The first offset that is given up.
        var offset: Int64
        /// The segment that ends there, as it then is; nil where that is between two segments.
        var kept: SegmentInfo?
        var isInActive = false
    }

    /// Finds the batch boundary at or before an offset, by walking the segment that holds it.
    private func place(toCutAt offset: Int64) async throws(LogError) -> Cut {
        let segment = manifest.manifest.sealed.last { $0.id.baseOffset <= offset }
        let isInActive = active.header.baseOffset <= offset
        let base = isInActive ? active.header.baseOffset : segment?.id.baseOffset ?? offset
        if base == offset || (!isInActive && segment?.end.nextOffset ?? 0 <= offset) {
            return Cut(offset: offset)
        }
        let (index, id) = try await index(ofSegmentAt: base, isInActive: isInActive)
        var times = SegmentTimes()
        times.lastAppendTime = isInActive ? active.times.lastAppendTime : 0
        if let segment, !isInActive { times.lastAppendTime = segment.times.lastAppendTime }
        var cursor = SegmentCursor.start(logID: manifest.logID, baseOffset: base)
        if let entry = index.floor(offset) { cursor = index.cursor(index.entries[entry]) }
        var isFirst = true
        var from = base
        while from < offset {
            let batches = try await read(
                place(of: from, maximumBytes: 8 << 20, inMemory: false), from: from)
            guard !batches.isEmpty else { break }
            for batch in batches {
                if batch.lastOffset >= offset {
                    return cut(cursor, id, times, isInActive: isInActive, isEmpty: isFirst)
                }
                isFirst = false
                times.absorb(maxTimestamp: batch.maxTimestamp, lastOffset: batch.lastOffset)
                if batch.baseOffset >= cursor.nextOffset {
                    cursor.chain.absorb(batch.bytes.unsafeBytes)
                    cursor.position += batch.byteCount
                    cursor.nextOffset = batch.lastOffset + 1
                }
                from = batch.lastOffset + 1
            }
        }
        return cut(cursor, id, times, isInActive: isInActive, isEmpty: isFirst)
    }

    private func cut(
        _ end: SegmentCursor, _ id: SegmentID, _ times: SegmentTimes, isInActive: Bool,
        isEmpty: Bool
    ) -> Cut {
        if isEmpty { return Cut(offset: id.baseOffset) }
        var info = SegmentInfo(id: id, end: end, times: times)
        info.isCompacted = manifest.manifest.sealed.first { $0.id == id }?.isCompacted ?? false
        return Cut(offset: end.nextOffset, kept: info, isInActive: isInActive)
    }

    private func index(
        ofSegmentAt base: Int64, isInActive: Bool
    ) async throws(LogError) -> (OffsetIndex, SegmentID) {
        if isInActive { return (state.read { $0.activeIndex }, active.header.id) }
        guard let segment = state.read({ $0.sealed.last { $0.baseOffset == base } }) else {
            throw LogError(.inconsistent, "\(directory): no segment begins at offset \(base)")
        }
        return (try await segment.open().index, segment.info.id)
    }

    /// Commits a truncation: the manifest forgets what is behind it, then a new segment begins
    /// there, then readers and those who wait are told.
    private func cut(
        to cut: Cut, _ states: ProducerSnapshot
    ) async throws(StorageError) {
        // Before the manifest: a snapshot of what is given up must not be found again.
        try await removeProducerSnapshots { $0 > cut.offset }
        try await manifest.commit([.truncate(to: cut.offset, keeping: cut.kept)])
        let id = manifest.manifest.unusedID(baseOffset: cut.offset)
        let header = SegmentHeader(
            logID: manifest.logID, baseOffset: id.baseOffset, generation: id.generation)
        let fresh: ActiveSegment<S>
        do throws(LogError) {
            fresh = try await ActiveSegment.create(
                header, in: directory, on: storage, configuration: configuration)
        } catch { throw error.cause ?? notCreated(error) }
        try await manifest.commit([.add(id, createdAt: storage.clock.millisecondsNow())])
        let infos = manifest.manifest.sealed
        let kept = cut.kept.map { sealedSegment($0) }
        ledger = ProducerLedger(states)
        let since = manifest.manifest.producersSince
        begin(fresh) { [epochs = manifest.manifest.epochs] snapshot in
            let count = infos.count - (kept == nil ? 0 : 1)
            snapshot.sealed.removeLast(max(0, snapshot.sealed.count - count))
            if let kept { snapshot.sealed.append(kept) }
            snapshot.epochs = epochs
            snapshot.truncations.append(cut.offset)
            snapshot.transactions = TransactionView(states, producersSince: since)
            snapshot.replicatedOffset = snapshot.replicatedOffset.map { min($0, cut.offset) }
            snapshot.tail = Tail(maximumBytes: snapshot.configuration.tailBytes)
        }
        let reason = LogError(
            .truncated, "\(directory) was cut to offset \(cut.offset)", resumeOffset: cut.offset)
        for waiter in commit.fail(resumingAt: cut.offset) {
            waiter.fail(reason)
        }
    }

    func notCreated(_ error: LogError) -> StorageError {
        StorageError(
            .failed, operation: "create", path: directory.description, detail: error.message)
    }

    // MARK: Epochs, replicas, settings

    public func startEpoch(_ epoch: Int32) async throws(LogError) {
        let latest = manifest.manifest.epochs.latest
        guard epoch >= latest else {
            throw LogError(
                .staleEpoch, "\(directory): expected an epoch from \(latest) on, found \(epoch)")
        }
        try await changingStructure("beginning an epoch in") { () async throws(StorageError) in
            guard epoch > manifest.manifest.epochs.latest else { return }
            try await flushLocked()
            try await manifest.commit([.epoch(epoch, startOffset: active.end.nextOffset)])
            state.publish { [epochs = manifest.manifest.epochs] in $0.epochs = epochs }
        }
    }

    public nonisolated func setHighWatermark(_ offset: Int64?) {
        state.publish { snapshot in
            guard let offset else {
                snapshot.replicatedOffset = nil
                return
            }
            let floor = snapshot.replicatedOffset ?? 0
            snapshot.replicatedOffset = max(floor, min(offset, snapshot.end.nextOffset))
        }
    }

    public func alter(_ configuration: LogConfiguration) async throws(LogError) {
        try configuration.validate()
        await structure.acquire()
        defer { structure.release() }
        try checkAppendable()
        active.segmentBytes = max(configuration.segmentBytes, active.end.position)
        state.publish { $0.configuration = configuration }
        admitWaiters()
    }
}
