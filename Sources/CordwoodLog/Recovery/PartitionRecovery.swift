import CordwoodStorage

/// Brings a partition's files into a state that can be appended to, and says what that took.
///
/// What it keeps it syncs before anybody sees it: after a kill the kernel may hold bytes that the
/// medium does not. It can be interrupted at any step and run again.
struct PartitionRecovery<S: Storage> {
    let storage: S
    let directory: StoragePath
    let cache: SegmentCache
    let configuration: LogConfiguration
    var report = RecoveryReport()

    /// A log's parts, ready to be written to.
    struct Opened {
        var manifest: ManifestStore<S>
        var sealed: [SealedSegment<S>]
        var active: ActiveSegment<S>
        var index: OffsetIndex
        var times: TimeIndex
        /// Whether the active segment was there before.
        var isInherited = false
    }

    init(
        storage: S, directory: StoragePath, cache: SegmentCache, configuration: LogConfiguration
    ) {
        self.storage = storage
        self.cache = cache
        self.directory = directory
        self.configuration = configuration
    }

    /// Opens the log in the directory, or creates an empty one with `newLogID`.
    mutating func open(newLogID: UInt64) async throws(LogError) -> Opened {
        let names: [String]
        let path: StoragePath
        do throws(StorageError) {
            try await createDirectory()
            names = try await storage.entries(of: directory).map(\.name)
            path = try directory.appending(SegmentFiles.manifestName)
            // It never held anything.
            if names.contains(SegmentFiles.spareName) {
                try await storage.remove(SegmentFiles.spare(in: directory))
            }
        } catch { throw LogError(error, while: "opening \(directory)") }
        if !names.contains(SegmentFiles.manifestName) {
            return try await create(path, names: names, logID: newLogID)
        }
        var manifest = Manifest()
        let file = try await EditLog<S.File>.open(path, on: storage, kind: .segments) {
            payload throws(LogError) in
            guard let edit = SegmentEdit(payload) else {
                throw LogError(
                    .unsupportedFormat, "\(path): an edit of a kind that this version does not know"
                )
            }
            try manifest.apply(edit)
        } validate: { () async throws(LogError) in
            let strays = try await checkUnlisted(names, manifest)
            forgetRemoved(&manifest, names)
            manifest.adopt(strays)
            report.notes += strays.map { "the files of segment \($0) were given up before" }
        } snapshot: {
            manifest.snapshot().map { $0.encode() }
        }
        if file.cutBytes > 0 {
            report.cutBytes += file.cutBytes
            report.notes.append("cut a torn edit off \(path)")
        }
        let store = ManifestStore(manifest, file, directory: directory, storage: storage)
        if let failure = await store.removeGarbage() {
            report.notes.append("a file that is no longer needed stays: \(failure)")
        }
        return try await open(store)
    }

    /// Creates the log's directory and makes its name durable, with those above it.
    private func createDirectory() async throws(StorageError) {
        try await storage.createDirectory(directory)
        var parent = directory.parent
        try await storage.syncDirectory(parent)
        while parent != .root {
            parent = parent.parent
            try await storage.syncDirectory(parent)
        }
    }

    private func create(
        _ path: StoragePath, names: [String], logID: UInt64
    ) async throws(LogError) -> Opened {
        _ = try await checkUnlisted(names, Manifest())
        let header = SegmentHeader(logID: logID, baseOffset: 0)
        let added = SegmentEdit.add(header.id, createdAt: storage.clock.millisecondsNow())
        let active = try await ActiveSegment.create(
            header, in: directory, on: storage, configuration: configuration)
        let file = try await EditLog.create(
            path, on: storage, kind: .segments, identity: logID, edits: [added.encode()])
        var manifest = Manifest()
        try manifest.apply(added)
        return opened(
            ManifestStore(manifest, file, directory: directory, storage: storage), active)
    }

    /// Refuses to go on when a segment that the manifest does not name holds data: the manifest has
    /// lost an edit, and guessing could lose records. An empty one is left from a roll that a crash
    /// cut short, and is used again by the next roll. Returns those that had been given up.
    private func checkUnlisted(
        _ names: [String], _ manifest: Manifest
    ) async throws(LogError) -> [SegmentID] {
        var strays: [SegmentID] = []
        var known = manifest.garbage.union(manifest.sealed.map(\.id))
        if let active = manifest.active { known.insert(active.id) }
        for id in names.compactMap(SegmentFiles.id(ofLogNamed:)) where !known.contains(id) {
            if manifest.hasGivenUp(id) {
                strays.append(id)
                continue
            }
            let path = SegmentFiles.log(id, in: directory)
            guard try await ActiveSegment.isUnused(path, on: storage) else {
                throw LogError(
                    .inconsistent,
                    "\(path) holds records but the manifest does not name it; nothing was changed")
            }
        }
        return strays
    }

    /// Takes files out of the manifest's garbage that are gone, so that it does not grow with every
    /// segment that ever was. Where a sync of the folder failed one may come back with a power cut;
    /// ``Manifest/hasGivenUp(_:)`` still knows it then.
    private func forgetRemoved(_ manifest: inout Manifest, _ names: [String]) {
        guard !manifest.garbage.isEmpty else { return }
        let names = Set(names)
        manifest.forget(
            manifest.garbage.filter { id in
                SegmentFiles.all(id, in: directory).allSatisfy { !names.contains($0.names.last!) }
            })
    }

    private mutating func open(_ store: ManifestStore<S>) async throws(LogError) -> Opened {
        guard let last = store.manifest.active else {
            // A crash between a seal or a truncation and the new segment that follows it.
            return opened(store, try await startSegment(store, sealing: []))
        }
        let header = SegmentHeader(
            logID: store.logID, baseOffset: last.id.baseOffset, generation: last.id.generation)
        var recovered = try await recover(header, epochs: store.manifest.epochs)
        let end = recovered.active.end.nextOffset
        let known = max(
            store.manifest.startOffset, store.manifest.epochs.entries.last?.startOffset ?? 0)
        if end >= known, recovered.gaps.isEmpty {
            return Opened(
                manifest: store, sealed: sealed(store), active: recovered.active,
                index: recovered.index, times: recovered.times, isInherited: true)
        }
        // Damage is sealed in, so that the active segment is always whole.
        let info = recovered.active.info
        let gaps = recovered.gaps.map { SegmentEdit.quarantine(info.id, $0) }
        var seal = SegmentEdit.seal(info)
        if end < known {
            // What the manifest speaks of was durable, and is damaged beyond telling. Offsets must
            // not go back before the start, nor epochs reach over records that come now.
            report.notes.append(
                "\(directory) ended at offset \(end), expected \(known) or more")
            seal = .truncate(to: end, keeping: end > info.id.baseOffset ? info : nil)
        }
        if end > info.id.baseOffset { try await writeIndexes(&recovered, header) }
        let active = try await startSegment(
            store, sealing: gaps + [seal], at: max(end, store.manifest.startOffset))
        return opened(store, active)
    }

    /// Writes the indexes of a segment that recovery seals.
    private func writeIndexes(
        _ recovered: inout Recovered, _ header: SegmentHeader
    ) async throws(LogError) {
        // No batch begins at the end.
        recovered.index.removeAll(
            behind: max(recovered.active.end.position - 1, SegmentHeader.byteCount))
        recovered.times.keep(recovered.index.entries.count, of: recovered.index)
        try await IndexFile<S, OffsetIndex>(header: header, directory: directory, storage: storage)
            .replace(with: recovered.index)
        try await IndexFile<S, TimeIndex>(header: header, directory: directory, storage: storage)
            .replace(with: recovered.times)
    }

    private func sealed(_ store: ManifestStore<S>) -> [SealedSegment<S>] {
        store.manifest.sealed.map {
            SealedSegment(
                $0, logID: store.logID, epochs: store.manifest.epochs, directory: directory,
                storage: storage, cache: cache, configuration: configuration)
        }
    }

    private func opened(_ store: ManifestStore<S>, _ active: ActiveSegment<S>) -> Opened {
        var index = OffsetIndex(baseOffset: active.header.baseOffset)
        index.append(active.end)
        return Opened(
            manifest: store, sealed: sealed(store), active: active, index: index,
            times: TimeIndex(following: index))
    }

    private func startSegment(
        _ store: ManifestStore<S>, sealing: [SegmentEdit], at baseOffset: Int64? = nil
    ) async throws(LogError) -> ActiveSegment<S> {
        let id = store.manifest.unusedID(baseOffset: baseOffset ?? store.manifest.nextBaseOffset)
        let header = SegmentHeader(
            logID: store.logID, baseOffset: id.baseOffset, generation: id.generation)
        let active = try await ActiveSegment.create(
            header, in: directory, on: storage, configuration: configuration)
        let added = SegmentEdit.add(id, createdAt: storage.clock.millisecondsNow())
        do throws(StorageError) {
            try await store.commit(sealing + [added])
        } catch { throw LogError(error, while: "adding a segment to the manifest") }
        return active
    }

    /// The active segment after its recovery.
    private struct Recovered {
        var active: ActiveSegment<S>
        var index: OffsetIndex
        var times: TimeIndex
        var gaps: [Gap]
    }

    /// Scans the segment that was being written, cuts what a crash tore and makes the rest durable.
    private mutating func recover(
        _ header: SegmentHeader, epochs: EpochCache
    ) async throws(LogError) -> Recovered {
        let path = SegmentFiles.log(header.id, in: directory)
        let indexFile = IndexFile<S, OffsetIndex>(
            header: header, directory: directory, storage: storage)
        let timeFile = IndexFile<S, TimeIndex>(
            header: header, directory: directory, storage: storage)
        let prefix = try await loadPrefix(of: indexFile)
        let timePrefix = try await loadPrefix(of: timeFile)
        let file: S.File
        let content: MemoryBlock
        do throws(StorageError) {
            file = try await storage.open(path, .readWrite)
            // No segment is larger, so what lies behind that is not the log's, and is cut off.
            let size = try await file.size()
            content = try await file.map(count: min(size, SegmentHeader.maximumSegmentBytes))
        } catch {
            guard error.code == .notFound else {
                throw LogError(error, while: "opening the active segment")
            }
            throw LogError(
                .inconsistent,
                "\(path): the manifest names this segment, expected a file, found none; "
                    + "nothing was changed")
        }
        let interval = configuration.indexIntervalBytes
        let (watermark, headerDamage) = try await storage.offload { () throws(LogError) in
            try Self.readHeader(content, header, path)
        }
        let scan = await storage.offload {
            TailScan(
                content.unsafeBytes, header: header, watermark: watermark, index: prefix.index,
                rules: BatchRules(epochs: epochs), interval: interval)
        }
        report.scannedBytes += content.count - scan.scannedFrom
        report.cutBytes += scan.cutBytes
        if let problem = scan.cutProblem {
            report.notes.append("\(path) ended at offset \(scan.cursor.nextOffset): \(problem)")
        }
        report.quarantined += scan.gaps.map {
            Damage(
                path: path.description, offsets: $0.offsets,
                problem: "damaged below the durable watermark")
        }
        if let headerDamage { report.notes.append("\(headerDamage); it was written anew") }
        var segmentTimes = scan.times
        if scan.cursor.position > watermark?.durable.position ?? SegmentHeader.byteCount {
            // When the batches behind the watermark came nobody knows; not after now.
            segmentTimes.lastAppendTime = storage.clock.millisecondsNow()
        }
        let active = ActiveSegment<S>(
            file: file, header: header, end: scan.cursor, times: segmentTimes,
            watermarkSequence: watermark?.sequence ?? 0, configuration: configuration)
        do throws(StorageError) {
            try await active.settle(
                recovered: content,
                trusted: watermark?.durable.position ?? SegmentHeader.byteCount,
                rewritingHeader: headerDamage != nil)
        } catch { throw LogError(error, while: "making the recovered segment durable") }
        var times = timePrefix.index
        times.keep(scan.keptEntries, of: scan.index)
        let kept = times.entries.count
        let pages = kept / OffsetIndex.Entry.pageCapacity
        // A page of this life may get lost in a crash, and must not leave one of an earlier life in
        // its place, whose entries no longer hold.
        if prefix.fileExists && !(prefix.problem == nil && kept == prefix.index.entries.count) {
            try await indexFile.keep(pages: pages)
        }
        if timePrefix.fileExists
            && !(timePrefix.problem == nil && kept == timePrefix.index.entries.count)
        {
            try await timeFile.keep(pages: pages)
        }
        times = await storage.offload { [times] in
            var times = times
            times.extend(
                through: content.unsafeBytes, along: scan.index, to: scan.cursor,
                rules: BatchRules(epochs: epochs))
            return times
        }
        return Recovered(
            active: active, index: scan.index, times: times, gaps: scan.gaps)
    }

    /// What could be read of the active segment's index. What is no file is moved out of the way, so
    /// that the index can be written to.
    private mutating func loadPrefix<Index: SegmentIndex>(
        of file: IndexFile<S, Index>
    ) async throws(LogError) -> IndexFile<S, Index>.Prefix {
        var prefix = try await file.loadPrefix()
        guard prefix.isForeign else { return prefix }
        report.notes.append("\(prefix.problem ?? ""); it was moved to \(try await file.setAside())")
        prefix.fileExists = false
        return prefix
    }

    /// The newest watermark of a segment. A header whose identity is damaged, or whose page is not whole,
    /// is accepted when a watermark, which is bound to that identity, is sound; the second value says so.
    private static func readHeader(
        _ content: MemoryBlock, _ header: SegmentHeader, _ path: StoragePath
    ) throws(LogError) -> (Watermark?, String?) {
        let watermark = Watermark.newest(in: content.unsafeBytes, header: header)
        do throws(LogError) {
            try SegmentHeader.check(content.unsafeBytes, expected: header, path: path)
            // The page was durable before the manifest named the segment. One that is cut short is no
            // segment in which nothing was written yet.
            guard content.count >= SegmentHeader.byteCount else {
                throw LogError(
                    .damaged,
                    "\(path): expected a segment's first page of \(SegmentHeader.byteCount) bytes, "
                        + "found \(content.count) bytes in all")
            }
        } catch {
            guard error.code == .damaged, watermark != nil else { throw error }
            return (watermark, error.message)
        }
        return (watermark, nil)
    }
}
