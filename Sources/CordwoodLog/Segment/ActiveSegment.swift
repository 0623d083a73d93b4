import CordwoodStorage

/// The segment that is being appended to: its file, its end, and the watermark written with every
/// group.
///
/// Owned by one writer (an actor), which alone calls it.
final class ActiveSegment<S: Storage> {
    let file: S.File
    let header: SegmentHeader
    /// Where the next batch goes.
    private(set) var end: SegmentCursor
    /// Everything before it is on the medium.
    private(set) var durable: SegmentCursor
    /// Of all batches before ``end``.
    private(set) var times: SegmentTimes
    /// The log's clock at the first append, where this process made it.
    private(set) var firstAppendTime: Int64?
    private var durableTimes: SegmentTimes
    private var watermarkSequence: UInt64
    /// The latest one that is known to be durable.
    private var durableSequence: UInt64
    /// The size that it may grow to.
    var segmentBytes: Int

    // Beside the appends: ActiveSegment+Ahead.swift.

    /// Space behind ``end``, which reads as zeros.
    var space: SpaceAhead
    /// Bytes appended since the log was opened and, of them, those in synced groups.
    var appendedBytes = 0
    var syncedBytes = 0
    /// The system was asked to write back what lies before.
    var writtenBack = 0
    var isSyncing = false
    /// A group that is to be synced is on its way.
    var isAppendSyncing = false
    var syncFailure: StorageError?
    var isStopped = false
    let waiters = Waiters()

    init(
        file: S.File, header: SegmentHeader, end: SegmentCursor, times: SegmentTimes = .init(),
        watermarkSequence: UInt64, configuration: LogConfiguration
    ) {
        self.file = file
        self.header = header
        self.end = end
        durable = end
        self.times = times
        durableTimes = times
        self.watermarkSequence = watermarkSequence
        durableSequence = watermarkSequence
        space = SpaceAhead(end: end.position, limits: configuration.spaceAhead)
        segmentBytes = configuration.segmentBytes
    }

    /// Bytes that still fit.
    var room: Int { segmentBytes - end.position }

    /// Writes an empty segment and makes it durable, with its directory entry.
    static func create(
        _ header: SegmentHeader, in directory: StoragePath, on storage: S,
        configuration: LogConfiguration
    ) async throws(LogError) -> ActiveSegment {
        let segment = try await create(
            header, in: directory, on: storage, configuration: configuration, from: nil)
        do throws(StorageError) { try await storage.syncDirectory(directory) } catch {
            throw LogError(error, while: "creating a segment")
        }
        return segment
    }

    /// Writes an empty segment, durable but for its directory entry, into the file that was made for
    /// it where there is one.
    static func create(
        _ header: SegmentHeader, in directory: StoragePath, on storage: S,
        configuration: LogConfiguration, from spare: SpareSegment<S>?
    ) async throws(LogError) -> ActiveSegment {
        let path = SegmentFiles.log(header.id, in: directory)
        guard try await isUnused(path, on: storage) else {
            throw LogError(
                .inconsistent, "\(path): expected no such segment, found one with records")
        }
        let start = SegmentCursor.start(logID: header.logID, baseOffset: header.baseOffset)
        // A watermark from the start, so that a segment with none is known to be damaged.
        let watermark = Watermark(
            sequence: 1, durable: start, groupEnd: start.position, groupWasSynced: true)
        do throws(StorageError) {
            // What a roll left that did not come to its end is not used again as it is: where the
            // sync of its name failed, only a new name can be made durable.
            try await storage.removeIfPresent(path)
            let page = [
                FileWrite(at: 0, [MemorySlice(header.encode())]), slot(watermark, of: header),
            ]
            let file: S.File
            if let spare {
                file = try await spare.become(path, page: page, on: storage)
            } else {
                file = try await storage.open(path, .create)
                try await file.write(page, thenSync: true)
            }
            let segment = ActiveSegment(
                file: file, header: header, end: start, watermarkSequence: watermark.sequence,
                configuration: configuration)
            if let spare {
                segment.space = SpaceAhead(
                    end: start.position, reserved: spare.reserved, zeroed: spare.zeroed,
                    limits: configuration.spaceAhead)
            }
            return segment
        } catch { throw LogError(error, while: "creating a segment") }
    }

    /// Whether no file has that name, or one that never held a batch: nothing but zeros behind its
    /// first page. All of it is looked at, because an unused file is removed. O(bytes).
    static func isUnused(_ path: StoragePath, on storage: S) async throws(LogError) -> Bool {
        do throws(StorageError) {
            let file = try await storage.open(path, .read)
            let size = try await file.size()
            var position = SegmentHeader.byteCount
            // The log reserves no more than that.
            var isUnused = size <= SegmentHeader.maximumSegmentBytes
            while isUnused, position < size {
                let block = try await file.read(at: position, count: Self.pieceBytes)
                if block.count == 0 { break }
                isUnused = block.unsafeBytes.allSatisfy { $0 == 0 }
                position += block.count
            }
            await file.close()
            return isUnused
        } catch {
            if error.code == .notFound { return true }
            throw LogError(error, while: "looking at a segment")
        }
    }

    /// Writes a group and its watermark, and with `sync` makes both durable. The batches must have
    /// their offsets. After an error nothing may be assumed of the bytes behind ``end``.
    func write(
        _ batches: [EncodedBatch], to newEnd: SegmentCursor, times newTimes: SegmentTimes,
        sync: Bool
    ) async throws(StorageError) {
        space.claim(upTo: newEnd.position)
        try await waitForWork(before: newEnd.position, syncs: sync)
        if newEnd.position > space.reserved { try await reserve(upTo: newEnd.position) }
        watermarkSequence = nextSequence
        let watermark = Watermark(
            sequence: watermarkSequence, durable: durable, groupEnd: newEnd.position,
            groupWasSynced: sync, times: durableTimes)
        let data = FileWrite(at: end.position, batches.map { MemorySlice($0.block) })
        isAppendSyncing = sync
        defer { isAppendSyncing = false }
        try await file.write([data, Self.slot(watermark, of: header)], thenSync: sync)
        appendedBytes += newEnd.position - end.position
        if sync { syncedBytes += newEnd.position - end.position }
        if end.position == SegmentHeader.byteCount { firstAppendTime = newTimes.lastAppendTime }
        end = newEnd
        times = newTimes
        if sync {
            noteDurable(newEnd, newTimes)
            durableSequence = watermark.sequence
        }
    }

    /// The sequence of the next watermark. It never takes the slot of the last one that is durable:
    /// groups that are not synced would else have overwritten both, and a power cut could leave none.
    private var nextSequence: UInt64 {
        let next = watermarkSequence + 1
        return next % 2 == durableSequence % 2 ? next + 1 : next
    }

    /// Reserves space in the path of an append: the first of a segment, or where what runs ahead
    /// was overtaken.
    private func reserve(upTo position: Int) async throws(StorageError) {
        let size = space.beginReserving(upTo: position, limit: segmentBytes)
        do throws(StorageError) {
            try await file.preallocate(to: size)
            return space.endReserving(size)
        } catch {
            guard error.code == .noSpace, size > position else {
                space.endReserving(nil)
                throw error
            }
        }
        // The last of a full disk is used, too.
        do throws(StorageError) { try await file.preallocate(to: position) } catch {
            space.endReserving(nil)
            throw error
        }
        space.endReserving(position)
    }

    /// Takes back what a write that found no space may have left behind ``end``, durably, and is
    /// ready for appends again.
    func takeBack() async throws(StorageError) {
        try await settle()
        isStopped = false
        space = SpaceAhead(end: end.position, limits: space.limits)
    }

    /// Makes sure that there is space for so many bytes behind ``end``, outside an append.
    func reserve(_ byteCount: Int) async throws(StorageError) {
        let needed = end.position + byteCount
        try await waitForWork(before: needed, syncs: false)
        if needed > space.reserved { try await reserve(upTo: needed) }
    }

    func noteDurable(_ place: SegmentCursor, _ placeTimes: SegmentTimes) {
        durable = place
        durableTimes = placeTimes
    }

    /// Makes what was written durable, as a group of no batches: its watermark says how far.
    func flush() async throws(StorageError) {
        try await write([], to: end, times: times, sync: true)
    }

    /// Makes all of the segment durable, with a watermark at its end, and gives back the space
    /// behind it. For closing, sealing, and before a recovered segment is served; with `sealing`
    /// the segment's own seal says so too.
    func settle(sealing: Bool = false) async throws(StorageError) {
        try await stopWork()
        try await file.truncate(to: end.position)
        // First the data, then the watermark that claims it.
        try await file.sync()
        noteDurable(end, times)
        watermarkSequence = nextSequence
        let watermark = Watermark(
            sequence: watermarkSequence, durable: end, groupEnd: end.position,
            groupWasSynced: true, times: times)
        var writes = [Self.slot(watermark, of: header)]
        if sealing {
            let seal = SealSlot.encode(info, header: header)
            writes.append(FileWrite(at: SealSlot.position, [MemorySlice(seal)]))
        }
        try await file.write(writes, thenSync: true)
        durableSequence = watermark.sequence
    }

    /// What the manifest will know of it when it is sealed now.
    var info: SegmentInfo { SegmentInfo(id: header.id, end: end, times: times) }

    /// Settles a segment that recovery has read as `content`, where only the bytes before `trusted`
    /// are known to be durable.
    ///
    /// The others are written once more: they may be there only because the system still holds
    /// them after a sync failed, and then a sync alone would save nothing. So is the newest watermark,
    /// before the other slot is written to.
    func settle(
        recovered content: MemoryBlock, trusted: Int, rewritingHeader: Bool
    ) async throws(StorageError) {
        if rewritingHeader {
            let identity = header.encode()
            let sector = MemorySlice(identity, 0..<Watermark.slotPositions[0])
            try await file.write([FileWrite(at: 0, [sector])], thenSync: false)
        }
        let slot = Watermark.slotPosition(ofSequence: watermarkSequence)
        if watermarkSequence > 0, content.count >= slot + Watermark.byteCount {
            try await rewrite(slot..<slot + Watermark.byteCount, of: content)
        }
        let stop = min(end.position, content.count)
        var position = min(trusted, stop)
        while position < stop {
            let step = position..<min(position + Self.pieceBytes, stop)
            try await rewrite(step, of: content)
            position = step.upperBound
        }
        try await takeBack()
    }

    private func rewrite(_ range: Range<Int>, of content: MemoryBlock) async throws(StorageError) {
        // A copy: the content is a map of the very file that is written.
        let copy = MemoryBlock(count: range.count)
        copy.unsafeMutableBytes.copyMemory(
            from: UnsafeRawBufferPointer(rebasing: content.unsafeBytes[range]))
        try await file.write(
            [FileWrite(at: range.lowerBound, [MemorySlice(copy)])], thenSync: false)
    }

    /// How much of a segment is read or written at a time.
    private static var pieceBytes: Int { 1 << 20 }

    private static func slot(_ watermark: Watermark, of header: SegmentHeader) -> FileWrite {
        FileWrite(at: watermark.slotPosition, [MemorySlice(watermark.encode(header))])
    }
}
