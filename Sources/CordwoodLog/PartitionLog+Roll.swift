import CordwoodStorage

extension PartitionLog {
    /// Seals the active segment and starts the next one.
    ///
    /// The order makes every step safe to be the last: the new file and its name are durable before
    /// the manifest names it, the old one is durable and its index complete before the manifest
    /// seals it, and no batch goes to the new file before the manifest is synced. One sync of the
    /// directory makes the names of the segment and of the indexes durable. The caller holds the
    /// structure lock.
    func rollLocked() async throws(StorageError) {
        let old = active
        let id = manifest.manifest.unusedID(baseOffset: old.end.nextOffset)
        let next = SegmentHeader(
            logID: old.header.logID, baseOffset: id.baseOffset, generation: id.generation)
        let fresh: ActiveSegment<S>
        do throws(LogError) {
            fresh = try await ActiveSegment.create(
                next, in: directory, on: storage, configuration: configuration,
                from: spare.take())
        } catch {
            throw error.cause ?? notCreated(error)
        }
        try await old.settle(sealing: true)
        try await writeIndexPages(includingLast: true)
        try await sealProducers()
        try await manifest.commit([
            .seal(old.info), .add(id, createdAt: storage.clock.millisecondsNow()),
        ])
        let sealed = sealedSegment(old.info)
        begin(fresh) { $0.sealed.append(sealed) }
        observer?.happened(.rolled(baseOffset: fresh.header.baseOffset))
        await removeOldProducerSnapshots()
    }

    /// Makes a segment the one that is appended to, for readers together with `change`.
    func begin(
        _ fresh: ActiveSegment<S>,
        _ change: (inout PartitionState<S>.Snapshot) -> Void
    ) {
        // What made the old segment prepare space holds for the next one.
        fresh.appendedBytes = active.appendedBytes
        fresh.syncedBytes = active.syncedBytes
        active = fresh
        indexPagesWritten = 0
        inheritsIndexFiles = false
        ledger.startSegment(at: fresh.header.baseOffset)
        checkpointedPosition = fresh.end.position
        state.publish { snapshot in
            change(&snapshot)
            snapshot.transactions.aborted = []
            snapshot.activeFile = fresh.file
            snapshot.activeHeader = fresh.header
            snapshot.activeIndex = OffsetIndex(baseOffset: fresh.header.baseOffset)
            snapshot.activeIndex.append(fresh.end)
            snapshot.activeTimes = TimeIndex(following: snapshot.activeIndex)
            snapshot.end = fresh.end
            snapshot.durableOffset = fresh.end.nextOffset
        }
    }

    /// A reader of a segment that the manifest lists as sealed.
    func sealedSegment(_ info: SegmentInfo) -> SealedSegment<S> {
        SealedSegment(
            info, logID: manifest.logID, epochs: manifest.manifest.epochs, directory: directory,
            storage: storage, cache: cache, configuration: configuration)
    }

    /// Writes the index pages that have filled since the last call, and with `includingLast` the
    /// one that has not, synced. Pages of the active segment are not synced: recovery makes a lost
    /// one anew.
    func writeIndexPages(includingLast: Bool) async throws(StorageError) {
        let first = indexPagesWritten * OffsetIndex.Entry.pageCapacity
        // Copies, so that the next entry does not copy all of them.
        let (offsets, times) = state.read { snapshot in
            let entries = snapshot.activeIndex.entries
            guard includingLast || entries.count - first >= OffsetIndex.Entry.pageCapacity else {
                return ([OffsetIndex.Entry](), [TimeIndex.Entry]())
            }
            return (Array(entries[first...]), Array(snapshot.activeTimes.entries[first...]))
        }
        guard includingLast || !offsets.isEmpty else { return }
        try await writePages(of: OffsetIndex.self, offsets, includingLast: includingLast)
        try await writePages(of: TimeIndex.self, times, includingLast: includingLast)
        if includingLast { try await storage.syncDirectory(directory) }
        indexPagesWritten += offsets.count / OffsetIndex.Entry.pageCapacity
    }

    private func writePages<Index: SegmentIndex>(
        of index: Index.Type, _ entries: [Index.Entry], includingLast: Bool
    ) async throws(StorageError) {
        let header = active.header
        let pages =
            includingLast
            ? IndexPage.encodeAll(entries[...], first: indexPagesWritten, header: header)
            : IndexPage.encodeFull(entries[...], first: indexPagesWritten, header: header)
        let path = Index.path(header, in: directory)
        let position = indexPagesWritten * IndexPage.byteCount
        if position == 0, inheritsIndexFiles {
            // A new file: the name of one that an earlier life of the segment left may be lost with
            // a power cut, whatever is synced now, because a sync of it failed then.
            return try await storage.exchange(path, with: pages, sync: includingLast, in: directory)
        }
        let file = try await storage.open(path, .openOrCreate)
        // A write that found no space may have left something.
        if includingLast { try await file.truncate(to: position) }
        try await file.write([FileWrite(at: position, pages)], thenSync: includingLast)
        await file.close()
    }
}
