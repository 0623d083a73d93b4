import CordwoodStorage

extension PartitionLog {
    /// Seals the active segment and starts the next one.
    ///
    /// The order makes every step safe to be the last: the new file and its name are durable before
    /// the manifest names it, the old one is durable and its index complete before the manifest
    /// seals it, and no batch goes to the new file before the manifest is synced.
    func roll() async throws(StorageError) {
        let old = active
        let next = SegmentHeader(logID: old.header.logID, baseOffset: old.end.nextOffset)
        let fresh: ActiveSegment<S>
        do throws(LogError) {
            fresh = try await ActiveSegment.create(
                next, in: directory, on: storage, configuration: configuration)
        } catch {
            throw error.cause
                ?? StorageError(
                    .failed, operation: "roll", path: directory.description, detail: error.message)
        }
        try await old.settle()
        try await writeIndexPages(includingLast: true)
        try await manifestLog.append([
            SegmentEdit.seal(baseOffset: old.header.baseOffset, end: old.end).encode(),
            SegmentEdit.add(baseOffset: next.baseOffset).encode(),
        ])
        let sealed = SealedSegment(
            header: old.header, end: old.end, gaps: [], directory: directory, storage: storage)
        active = fresh
        indexPagesWritten = 0
        state.publish { snapshot in
            snapshot.sealed.append(sealed)
            snapshot.activeFile = fresh.file
            snapshot.activeHeader = fresh.header
            snapshot.activeIndex = OffsetIndex(baseOffset: fresh.header.baseOffset)
            snapshot.activeIndex.append(fresh.end)
            snapshot.end = fresh.end
            snapshot.durableOffset = fresh.end.nextOffset
        }
    }

    /// Writes the index pages that have filled since the last call, and with `includingLast` the
    /// one that has not, synced. Pages of the active segment are not synced: recovery makes a lost
    /// one anew.
    func writeIndexPages(includingLast: Bool) async throws(StorageError) {
        let written = indexPagesWritten
        let pending = state.read { snapshot in
            Array(snapshot.activeIndex.entries.dropFirst(written * IndexPage.capacity))
        }
        let full = pending.count / IndexPage.capacity
        guard includingLast || full > 0 else { return }
        let file = IndexFile(header: active.header, directory: directory, storage: storage)
        var pages: [MemorySlice] = []
        for number in 0..<(includingLast ? full + 1 : full) {
            let first = number * IndexPage.capacity
            let page = pending[first..<min(first + IndexPage.capacity, pending.count)]
            if page.isEmpty { break }
            pages.append(
                MemorySlice(
                    IndexPage.encode(page, number: written + number, header: active.header)))
        }
        let handle = try await storage.open(file.path, .openOrCreate)
        let write = FileWrite(at: written * IndexPage.byteCount, pages)
        try await handle.write([write], thenSync: includingLast)
        if includingLast {
            // Pages of an earlier life of the segment must not follow the last one.
            try await handle.truncate(to: write.position + write.count)
            try await storage.syncDirectory(directory)
        }
        await handle.close()
        indexPagesWritten += full
    }
}
