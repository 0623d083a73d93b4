import CordwoodStorage

/// Producer snapshots: written when a segment is sealed and when the log is closed, and what
/// recovery goes on from.
extension PartitionLog {
    // MARK: Writing

    /// Writes the transaction index of the segment that is about to be sealed, and the snapshot
    /// that the next one begins with. Both are durable before the manifest seals the segment, and
    /// after the segment itself is.
    func sealProducers() async throws(StorageError) {
        guard manifest.manifest.producersSince != nil else { return }
        let published = ledger.published
        let index = TransactionIndex(
            entries: published.aborted, end: active.end.nextOffset,
            stableOffset: published.stableOffset)
        try await transactionIndexFile(active.header).replace(with: index)
        transactionIndexes.insert(index, for: active.header.id)
        var next = published
        next.startSegment(at: active.end.nextOffset)
        try await write(next)
    }

    /// Writes the state at the end of a log that is being closed. Without it the next opening
    /// replays from the last one, so a failure is no obstacle.
    func writeLastProducerSnapshot() async {
        guard manifest.manifest.producersSince != nil,
            producerSnapshots.last != ledger.published.offset
        else { return }
        do throws(StorageError) { try await write(ledger.published) } catch {}
        await removeOldProducerSnapshots()
    }

    /// Writes a snapshot in the middle of a segment from time to time. It may come to the medium
    /// before the batches do: if these are lost, recovery finds it behind the end and removes it.
    func checkpointProducers() async {
        let distance = max(checkpointBytes, checkpointSnapshots * producerSnapshotBytes)
        guard manifest.manifest.producersSince != nil,
            active.end.position - checkpointedPosition >= distance
        else { return }
        checkpointedPosition = active.end.position
        do throws(StorageError) { try await write(ledger.published) } catch {}
    }

    private func write(_ snapshot: ProducerSnapshot) async throws(StorageError) {
        guard snapshot.canBeEncoded else { return }
        let path = SegmentFiles.producerSnapshot(snapshot.offset, in: directory)
        let block = await encode(snapshot)
        producerSnapshotBytes = block.count
        try await storage.replace(path, with: [MemorySlice(block)], in: directory)
        producerSnapshots.removeAll { $0 == snapshot.offset }
        producerSnapshots.append(snapshot.offset)
    }

    /// So many producers and transactions are encoded at once: that takes no longer than a change of
    /// threads.
    private static var maximumEncodedHere: Int { 512 }

    /// Encodes a snapshot. Of many producers that takes a while, so it is done on another thread:
    /// appends are queued on this one meanwhile.
    private func encode(_ snapshot: ProducerSnapshot) async -> MemoryBlock {
        let logID = manifest.logID
        guard snapshot.states.count + snapshot.aborted.count > Self.maximumEncodedHere else {
            return snapshot.encode(logID: logID)
        }
        return await storage.offload { snapshot.encode(logID: logID) }
    }

    // MARK: Removing

    /// Removes the snapshots that no segment begins with, but the newest. What cannot be removed is
    /// tried again the next time.
    func removeOldProducerSnapshots() async {
        let sealed = manifest.manifest.sealed
        let (active, newest) = (active.header.baseOffset, producerSnapshots.last)
        do throws(StorageError) {
            try await removeProducerSnapshots { offset in
                if offset == active || offset == newest { return false }
                let next = sealed.partitionIndex { $0.id.baseOffset > offset }
                return next == 0 || sealed[next - 1].id.baseOffset != offset
            }
        } catch {}
    }

    /// Removes those snapshots for good.
    func removeProducerSnapshots(
        where isGone: (Int64) -> Bool
    ) async throws(StorageError) {
        let gone = producerSnapshots.filter(isGone)
        guard !gone.isEmpty else { return }
        for offset in gone {
            do throws(StorageError) {
                try await storage.remove(SegmentFiles.producerSnapshot(offset, in: directory))
            } catch {
                if error.code != .notFound { throw error }
            }
        }
        try await storage.syncDirectory(directory)
        producerSnapshots.removeAll(where: isGone)
    }

    // MARK: Recovering

    /// Finds the producers' states at the end of a log that is being opened.
    ///
    /// Snapshots behind the end are of batches that a crash took, and are removed before others can
    /// take their place.
    func recoverProducers() async throws(LogError) {
        guard let since = manifest.manifest.producersSince else { return }
        let end = active.end.nextOffset
        do throws(StorageError) {
            let names = try await storage.entries(of: directory).map(\.name)
            producerSnapshots = names.compactMap(SegmentFiles.offset(ofSnapshotNamed:)).sorted()
            try await removeProducerSnapshots { $0 > end }
        } catch { throw LogError(error, while: "looking for producer snapshots") }
        var notes: [String] = []
        let base = active.header.baseOffset
        let snapshot = try await producerSnapshot(atOrBefore: end, inSegmentAt: base, &notes)
        var found = try await producers(at: end, from: snapshot)
        if found.segmentBase != base { found.startSegment(at: base) }
        found.states.expire(
            now: storage.clock.millisecondsNow(),
            after: configuration.producerIDExpirationMilliseconds)
        found.states.bound()
        ledger = ProducerLedger(found)
        state.publish { snapshot in
            snapshot.transactions = TransactionView(found, producersSince: since)
            snapshot.recovery.notes += notes
        }
    }

    /// The states after all batches before `offset`, from the newest snapshot before it and the
    /// batches behind that.
    func producers(at offset: Int64) async throws(LogError) -> ProducerSnapshot {
        guard manifest.manifest.producersSince != nil else {
            return ProducerSnapshot(at: offset, segmentBase: offset)
        }
        var found = try await producers(
            at: offset, from: try await producerSnapshot(atOrBefore: offset))
        found.states.bound()
        return found
    }

    /// The same from a snapshot that is in hand.
    private func producers(
        at end: Int64, from snapshot: ProducerSnapshot
    ) async throws(LogError) -> ProducerSnapshot {
        var found = snapshot
        try await replay(&found, to: end)
        guard let start = found.states.firstUndecided, start < snapshot.offset,
            state.read({
                $0.sealed.contains { $0.info.isCompacted && $0.end.nextOffset > start }
            })
        else { return found }
        // Compaction removes the marker of a transaction once nothing else is left of it, so one
        // that was open when the snapshot was written may be over although no marker is there.
        // It is open if a batch of it is there.
        var left = ProducerSnapshot(at: start, segmentBase: start)
        try await replay(&left, to: end)
        found.states.review(by: left.states)
        return found
    }

    /// The newest sound snapshot at or before an offset, or the empty one before the first batch with a
    /// producer.
    func producerSnapshot(atOrBefore offset: Int64) async throws(LogError) -> ProducerSnapshot {
        var notes: [String] = []
        return try await producerSnapshot(atOrBefore: offset, inSegmentAt: offset, &notes)
    }

    /// One in the middle of the segment that begins at `base` must have begun with it: where a
    /// crash cut a roll short, the next segment's snapshot is there already, and knows nothing of
    /// what was aborted in this one.
    private func producerSnapshot(
        atOrBefore offset: Int64, inSegmentAt base: Int64, _ notes: inout [String]
    ) async throws(LogError) -> ProducerSnapshot {
        for candidate in producerSnapshots.reversed() where candidate <= offset {
            let path = SegmentFiles.producerSnapshot(candidate, in: directory)
            var problem = "missing or not sound"
            do throws(StorageError) {
                let content = try await storage.content(
                    of: path, maximumBytes: ProducerSnapshot.maximumByteCount)
                if let content,
                    let snapshot = withExtendedLifetime(
                        content,
                        {
                            ProducerSnapshot(
                                content.unsafeBytes, logID: manifest.logID,
                                expectedOffset: candidate)
                        })
                {
                    if candidate <= base || snapshot.segmentBase == base { return snapshot }
                    continue
                }
            } catch { problem = "\(error)" }
            notes.append("\(path): \(problem); the producers' states were replayed from before it")
        }
        let first = state.read { $0.sealed.first?.baseOffset ?? $0.activeHeader.baseOffset }
        let start = min(max(first, manifest.manifest.producersSince ?? offset), offset)
        return ProducerSnapshot(at: start, segmentBase: start)
    }

    /// Takes in the log's batches from where a snapshot stands up to `end`. Damaged ones are
    /// passed over, as they are for readers. O(bytes).
    nonisolated func replay(
        _ snapshot: inout ProducerSnapshot, to end: Int64
    ) async throws(LogError) {
        while snapshot.offset < end {
            let place = replayPlace(of: snapshot.offset)
            if place.base != snapshot.segmentBase { snapshot.startSegment(at: place.base) }
            if snapshot.offset >= place.end || snapshot.offset >= end { continue }
            do throws(LogError) {
                let batches = try await read(place.place, from: snapshot.offset)
                for batch in batches where batch.lastOffset < end { snapshot.absorb(batch) }
                if batches.isEmpty || batches.contains(where: { $0.lastOffset >= end }) {
                    snapshot.offset = min(place.end, end)
                }
            } catch {
                guard error.code == .damaged, let resume = error.resumeOffset,
                    resume > snapshot.offset
                else { throw error }
                snapshot.offset = min(resume, end)
            }
        }
    }

    /// How much a replay reads at a time.
    private static var replayBytes: Int { 8 << 20 }

    /// Where a batch lies, or the first behind it, also before the log's start offset.
    private nonisolated func replayPlace(
        of offset: Int64
    ) -> (place: Place, base: Int64, end: Int64) {
        state.read { snapshot in
            let sealed = snapshot.sealed
            if let segment = sealed.first(where: { $0.end.nextOffset > offset }) {
                return (
                    .sealed(segment, maximumBytes: Self.replayBytes), segment.baseOffset,
                    segment.end.nextOffset
                )
            }
            let base = snapshot.activeHeader.baseOffset
            let part = ActivePart<S>(
                snapshot, from: max(offset, base), maximumBytes: Self.replayBytes)
            return (
                .active(part, maximumBytes: Self.replayBytes), base, snapshot.end.nextOffset
            )
        }
    }
}
