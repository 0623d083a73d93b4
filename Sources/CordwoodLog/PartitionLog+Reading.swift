import CordwoodStorage

extension PartitionLog {
    public nonisolated var startOffset: Int64 { state.read { $0.startOffset } }
    public nonisolated var configuration: LogConfiguration { state.read { $0.configuration } }
    public nonisolated var highWatermark: Int64 { state.read { $0.highWatermark } }
    public nonisolated var lastStableOffset: Int64 { state.read { $0.lastStableOffset } }
    public nonisolated var epochs: EpochCache { state.read { $0.epochs } }
    public nonisolated var truncations: [Int64] { state.read { $0.truncations } }
    public nonisolated var endOffset: Int64 { state.read { $0.end.nextOffset } }
    public nonisolated var durableOffset: Int64 { state.read { $0.durableOffset } }
    public nonisolated var recovery: RecoveryReport { state.read { $0.recovery } }
    public nonisolated var statistics: LogStatistics { state.read { $0.statistics } }
    public nonisolated var segmentCount: Int { state.read { $0.sealed.count + 1 } }
    public nonisolated var health: LogHealth { state.read { $0.health } }
    public nonisolated var isClosed: Bool { state.read { $0.isClosed } }

    public nonisolated var byteCount: Int {
        // Counted outside the lock: there may be very many.
        let (sealed, active) = state.read { ($0.sealed, $0.end.position) }
        return sealed.reduce(active) { $0 + $1.end.position }
    }

    public nonisolated func endOffset(forEpoch epoch: Int32) -> (epoch: Int32, endOffset: Int64)? {
        state.read {
            $0.epochs.end(of: epoch, logStart: $0.startOffset, logEnd: $0.end.nextOffset)
        }
    }

    public nonisolated func waitForRecords(
        at offset: Int64, isolation: Isolation, truncations: Int
    ) async {
        await state.wait(for: .records(at: offset, isolation, truncations: truncations))
    }

    public nonisolated func waitForClosing() async { await state.wait(for: .closing) }

    public nonisolated func read(
        from offset: Int64, maximumBytes: Int = 1 << 20, isolation: Isolation = .uncommitted
    ) async throws(LogError) -> [RecordBatch] {
        var offset = offset
        while true {
            let place = try place(of: offset, maximumBytes: maximumBytes, inMemory: true)
            let end = state.read { $0.end(for: isolation) }
            if offset >= end { return [] }
            let batches: [RecordBatch]
            do throws(LogError) {
                batches = try await read(place, from: offset)
            } catch {
                // Its files may have gone, or been written anew, since it was found.
                if case .sealed(let segment, _) = place, !isCurrent(segment) { continue }
                throw error
            }
            if case .sealed = place, batches.isEmpty {
                // Compaction has left nothing from here to the segment's end.
                offset = state.read { snapshot in
                    let next = snapshot.sealed.partitionIndex { $0.baseOffset > offset }
                    return next < snapshot.sealed.count
                        ? snapshot.sealed[next].baseOffset : snapshot.activeHeader.baseOffset
                }
                continue
            }
            // Batches are replicated and decided whole.
            let visible = batches.prefix { $0.baseOffset < end }
            guard isolation == .committed, let last = visible.last else { return Array(visible) }
            let committed = try await committed(visible)
            if !committed.isEmpty { return committed }
            offset = last.lastOffset + 1
            if Task.isCancelled { throw LogError(.cancelled, "the read was cancelled") }
        }
    }

    private nonisolated func isCurrent(_ segment: SealedSegment<S>) -> Bool {
        state.read { snapshot in snapshot.sealed.contains { $0 === segment } }
    }

    /// Where the batch that holds an offset lies.
    enum Place {
        case end
        case tail([RecordBatch])
        case sealed(SealedSegment<S>, maximumBytes: Int)
        case active(ActivePart<S>, maximumBytes: Int)
    }

    /// Reads what ``place(of:maximumBytes:inMemory:)`` found.
    nonisolated func read(_ place: Place, from offset: Int64) async throws(LogError)
        -> [RecordBatch]
    {
        switch place {
        case .end: []
        case .tail(let batches): batches
        case .sealed(let segment, let maximumBytes):
            try await segment.read(from: offset, maximumBytes: maximumBytes)
        case .active(let part, let maximumBytes):
            try await part.read(from: offset, maximumBytes: maximumBytes, on: storage)
        }
    }

    /// Finds an offset, under the state's lock and without I/O. `inMemory` allows the tail to
    /// answer; without it what lies before the start offset can be read, too, where it still is.
    nonisolated func place(
        of offset: Int64, maximumBytes: Int, inMemory: Bool
    ) throws(LogError) -> Place {
        let found: Result<Place, LogError> = state.read { snapshot in
            if snapshot.isClosed { return .failure(LogError(.closed, "\(directory) was closed")) }
            guard offset >= (inMemory ? snapshot.startOffset : 0), offset <= snapshot.end.nextOffset
            else {
                return .failure(
                    LogError(
                        .offsetOutOfRange,
                        "\(directory): expected an offset from \(snapshot.startOffset) to "
                            + "\(snapshot.end.nextOffset), found \(offset)"))
            }
            if offset == snapshot.end.nextOffset { return .success(.end) }
            if snapshot.sealed.isEmpty, offset < snapshot.activeHeader.baseOffset {
                return .success(
                    .active(
                        ActivePart(
                            snapshot, from: snapshot.activeHeader.baseOffset,
                            maximumBytes: maximumBytes), maximumBytes: maximumBytes))
            }
            if inMemory,
                let batches = snapshot.tail.read(from: offset, maximumBytes: maximumBytes)
            {
                return .success(.tail(batches))
            }
            if offset < snapshot.activeHeader.baseOffset {
                let segment = Self.segment(of: offset, in: snapshot.sealed)
                return .success(.sealed(segment, maximumBytes: maximumBytes))
            }
            let part = ActivePart<S>(snapshot, from: offset, maximumBytes: maximumBytes)
            return .success(.active(part, maximumBytes: maximumBytes))
        }
        return try found.get()
    }

    /// The last segment that begins at or before `offset`. O(log n).
    private static func segment(
        of offset: Int64, in sealed: [SealedSegment<S>]
    ) -> SealedSegment<S> {
        sealed[max(0, sealed.partitionIndex { $0.baseOffset > offset } - 1)]
    }
}

/// A stretch of the active segment, from one index entry to another or to the published end: what
/// one read needs of the state, so that the file is read outside the lock.
struct ActivePart<S: Storage>: Sendable {
    private let file: S.File
    private let start: SegmentCursor
    private let end: SegmentCursor
    private let index: OffsetIndex
    private let rules: BatchRules

    init(
        _ snapshot: borrowing PartitionState<S>.Snapshot, from offset: Int64, maximumBytes: Int
    ) {
        file = snapshot.activeFile
        rules = BatchRules(epochs: snapshot.epochs)
        let whole = snapshot.activeIndex
        let entries = whole.entries
        let first = whole.floor(offset) ?? 0
        var last = first + 1
        while last < entries.count,
            Int(entries[last].position) - Int(entries[first].position) < maximumBytes
        { last += 1 }
        var part = OffsetIndex(baseOffset: whole.baseOffset)
        for entry in entries[first..<min(last, entries.count)] {
            part.append(whole.cursor(entry))
        }
        index = part
        start = whole.cursor(entries[first])
        end = last < entries.count ? whole.cursor(entries[last]) : snapshot.end
    }

    func read(
        from offset: Int64, maximumBytes: Int, on storage: S
    ) async throws(LogError) -> [RecordBatch] {
        let block: MemoryBlock
        do throws(StorageError) {
            block = try await file.read(at: start.position, count: end.position - start.position)
        } catch { throw LogError(error, while: "reading the active segment") }
        guard block.count == end.position - start.position else {
            throw LogError(
                .damaged,
                "\(file.path): expected \(end.position) bytes, found "
                    + "\(start.position + block.count)", resumeOffset: end.nextOffset)
        }
        let reader = SegmentReader(
            block: block, origin: start.position, index: index, end: end, gaps: [],
            rules: rules, path: file.path)
        return try await storage.offload { () throws(LogError) in
            try reader.read(from: offset, maximumBytes: maximumBytes)
        }
    }
}
