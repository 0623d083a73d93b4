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
    func flushLocked() async throws(StorageError) {
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
        var end = Int64.max
        try await changingStructure("trimming") { () async throws(StorageError) in
            // Not before: a truncation may have come first.
            end = highWatermark
            guard offset <= end, offset > startOffset else { return }
            if offset > active.durable.nextOffset { try await flushLocked() }
            try await removeOldest(startingAt: offset) { $0.end.nextOffset <= offset }
        }
        guard offset <= end else {
            throw LogError(
                .offsetOutOfRange,
                "\(directory): expected an offset up to the high watermark, \(end), found \(offset)"
            )
        }
        await removeGarbage()
        return startOffset
    }

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
        edits += SegmentEdit.removals(of: gone)
        guard !edits.isEmpty else { return }
        try await manifest.commit(edits)
        state.publish { [epochs = manifest.manifest.epochs] snapshot in
            snapshot.startOffset = start
            snapshot.sealed.removeFirst(gone.count)
            snapshot.epochs = epochs
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

    func notCreated(_ error: LogError) -> StorageError {
        StorageError(
            .failed, operation: "create", path: directory.description, detail: error.message)
    }

    // MARK: Epochs, replicas, settings

    public func startEpoch(_ epoch: Int32) async throws(LogError) {
        var latest = epoch
        try await changingStructure("beginning an epoch in") { () async throws(StorageError) in
            // Not before: another may have begun first.
            latest = manifest.manifest.epochs.latest
            guard epoch > latest else { return }
            try await flushLocked()
            try await manifest.commit([.epoch(epoch, startOffset: active.end.nextOffset)])
            state.publish { [epochs = manifest.manifest.epochs] in $0.epochs = epochs }
        }
        guard epoch >= latest else {
            throw LogError(
                .staleEpoch, "\(directory): expected an epoch from \(latest) on, found \(epoch)")
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
