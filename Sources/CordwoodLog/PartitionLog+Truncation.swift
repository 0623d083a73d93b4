import CordwoodStorage

/// Giving up the end of a log, for a replica whose leader does not have it.
extension PartitionLog {
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
            if found.isInActive { try await flushLocked() }
            try await active.stopWork()
            try await cut(to: found, states)
        } catch {
            // Nothing has changed before the one commit, so a full disk poisons nothing.
            let reason = await stop(after: error)
            if reason.code == .readOnly { throw reason }
            throw LogError(error, while: "truncating \(directory)")
        }
        // Views: without room for them, the next reader makes them anew.
        do throws(LogError) { try await writeIndexes(found) } catch {
            if error.cause?.isFullDisk != true {
                poison(error.cause ?? notCreated(error))
                throw error
            }
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
        /// The indexes of that segment, to be cut with it.
        var indexes: (offsets: OffsetIndex, times: TimeIndex)?
        var isInActive = false
    }

    /// How much of the segment is read at a time in search of a batch's start.
    private static var searchBytes: Int { 1 << 20 }

    /// Finds where the batch begins that holds an offset, from the last index entry before it on.
    /// An offset between two batches, where compaction took some out, is a place by itself. Throws
    /// ``LogError/Code/damaged`` where a damaged batch lies before it. O(an interval of the index).
    private func place(toCutAt offset: Int64) async throws(LogError) -> Cut {
        let isInActive = active.header.baseOffset <= offset
        guard let (info, index, times) = try await segment(holding: offset, isInActive: isInActive),
            info.id.baseOffset < offset, offset < info.end.nextOffset
        else { return Cut(offset: offset) }
        var cursor = SegmentCursor.start(logID: manifest.logID, baseOffset: info.id.baseOffset)
        let known = times.entry(before: offset)
        if let entry = index.floor(known?.offset ?? info.id.baseOffset) {
            cursor = index.cursor(index.entries[entry])
        }
        var kept = SegmentInfo(id: info.id, end: cursor, isCompacted: info.isCompacted)
        kept.times = SegmentTimes(
            maxTimestamp: known?.maxTimestamp ?? -1, lastAppendTime: info.times.lastAppendTime)
        let end = try await walk(&cursor, to: offset, &kept.times, gaps: info.gaps)
        // The largest timestamp is one that stays.
        if (0..<end).contains(info.times.maxTimestampOffset) { kept.times = info.times }
        kept.end = cursor
        if cursor.position == SegmentHeader.byteCount { return Cut(offset: end) }
        return Cut(
            offset: end, kept: kept, indexes: (index, times), isInActive: isInActive)
    }

    /// Moves a cursor over the batches before `offset`, takes in their times, and returns where the
    /// log is to end: at `offset`, or where the batch or the damaged range begins that holds it.
    private func walk(
        _ cursor: inout SegmentCursor, to offset: Int64, _ times: inout SegmentTimes, gaps: [Gap]
    ) async throws(LogError) -> Int64 {
        while cursor.nextOffset < offset {
            if gaps.contains(where: { $0.positions.lowerBound == cursor.position }) {
                return cursor.nextOffset
            }
            let from = cursor.nextOffset
            let batches = try await read(
                place(of: from, maximumBytes: Self.searchBytes, inMemory: false), from: from)
            if batches.isEmpty { break }
            for batch in batches {
                if batch.lastOffset >= offset { return min(batch.baseOffset, offset) }
                times.absorb(maxTimestamp: batch.maxTimestamp, lastOffset: batch.lastOffset)
                cursor.chain.absorb(batch.bytes.unsafeBytes)
                cursor.position += batch.byteCount
                cursor.nextOffset = batch.lastOffset + 1
            }
        }
        return offset
    }

    /// The segment that holds an offset, if any, with its indexes.
    private func segment(
        holding offset: Int64, isInActive: Bool
    ) async throws(LogError) -> (SegmentInfo, OffsetIndex, TimeIndex)? {
        if isInActive {
            let (index, times) = state.read { ($0.activeIndex, $0.activeTimes) }
            return (active.info, index, times)
        }
        let sealed = state.read { $0.sealed }
        let next = sealed.partitionIndex { $0.baseOffset > offset }
        guard next > 0 else { return nil }
        let segment = sealed[next - 1]
        return (segment.info, try await segment.open().index, try await segment.times().index)
    }

    /// Cuts the indexes of the segment that was cut, so that they need not be made anew.
    private func writeIndexes(_ cut: Cut) async throws(LogError) {
        guard let kept = cut.kept, var (offsets, times) = cut.indexes else { return }
        let header = SegmentHeader(
            logID: manifest.logID, baseOffset: kept.id.baseOffset, generation: kept.id.generation)
        // No batch begins at the end.
        offsets.removeAll(behind: max(kept.end.position - 1, SegmentHeader.byteCount))
        times.keep(offsets.entries.count, of: offsets)
        try await IndexFile(header: header, directory: directory, storage: storage)
            .replace(with: offsets)
        // Where the two were made with different distances, the next reader makes this one anew.
        guard times.entries.count == offsets.entries.count else { return }
        try await IndexFile(header: header, directory: directory, storage: storage)
            .replace(with: times)
    }

    /// Commits a truncation: the manifest forgets what is behind it and names the segment that
    /// begins there, then readers and those who wait are told.
    private func cut(to cut: Cut, _ states: ProducerSnapshot) async throws(StorageError) {
        let id = manifest.manifest.unusedID(baseOffset: cut.offset)
        let header = SegmentHeader(
            logID: manifest.logID, baseOffset: id.baseOffset, generation: id.generation)
        let fresh: ActiveSegment<S>
        do throws(LogError) {
            fresh = try await ActiveSegment.create(
                header, in: directory, on: storage, configuration: configuration)
        } catch { throw error.cause ?? notCreated(error) }
        // Before the manifest: a snapshot of what is given up must not be found again.
        try await removeProducerSnapshots { $0 > cut.offset }
        try await manifest.commit([
            .truncate(to: cut.offset, keeping: cut.kept),
            .add(id, createdAt: storage.clock.millisecondsNow()),
        ])
        let kept = cut.kept.flatMap { _ in manifest.manifest.sealed.last }.map(sealedSegment)
        let count = manifest.manifest.sealed.count - (kept == nil ? 0 : 1)
        ledger = ProducerLedger(states)
        let since = manifest.manifest.producersSince
        begin(fresh) { [epochs = manifest.manifest.epochs] snapshot in
            snapshot.sealed.removeLast(max(0, snapshot.sealed.count - count))
            if let kept { snapshot.sealed.append(kept) }
            snapshot.epochs = epochs
            snapshot.truncations.append(cut.offset)
            snapshot.transactions.truncate(to: cut.offset, states, producersSince: since)
            snapshot.replicatedOffset = snapshot.replicatedOffset.map { min($0, cut.offset) }
            snapshot.tail = Tail(maximumBytes: snapshot.configuration.tailBytes)
        }
        let reason = LogError(
            .truncated, "\(directory) was cut to offset \(cut.offset)", resumeOffset: cut.offset)
        for waiter in commit.fail(resumingAt: cut.offset) {
            waiter.fail(reason)
        }
    }
}

// MARK: - For views

extension PartitionLog {
    public nonisolated func append(
        _ records: [Record], acknowledge: Acknowledgement, truncations: Int
    ) async throws(LogError) -> Range<Int64> {
        try checkKeys(records)
        let batches = try RecordBatchEncoder(configuration)
            .encode(records, now: storage.clock.millisecondsNow())
        return try await append(batches, acknowledge: acknowledge, truncations: truncations)
    }

    /// Throws where the log was truncated more often than somebody knows who wants to append.
    func checkHistory(_ truncations: Int) throws(LogError) {
        let cuts = state.read { $0.truncations.dropFirst(truncations) }
        guard let offset = cuts.min() else { return }
        // The room that the append was given is free.
        admitWaiters()
        throw LogError(
            .truncated, "\(directory) was cut to offset \(offset); nothing was appended",
            resumeOffset: offset)
    }
}
