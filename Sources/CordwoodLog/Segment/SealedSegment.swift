import CordwoodStorage

/// A segment that will never change again: mapped read-only while it is read, by way of a
/// ``SegmentCache``.
///
/// Safe to read from any task. Opening and reading may block on the disk, so they run on the
/// storage's own threads.
final class SealedSegment<S: Storage>: Sendable {
    let info: SegmentInfo
    let header: SegmentHeader
    let rules: BatchRules
    private let directory: StoragePath
    private let storage: S
    /// The distance of entries in an index that has to be made anew.
    private let indexIntervalBytes: Int
    private let cache: SegmentCache
    private let key: SegmentCache.Key

    typealias Opened = OpenedSegment

    init(
        _ info: SegmentInfo, logID: UInt64, epochs: EpochCache, directory: StoragePath, storage: S,
        cache: SegmentCache, configuration: LogConfiguration
    ) {
        self.info = info
        header = SegmentHeader(
            logID: logID, baseOffset: info.id.baseOffset, generation: info.id.generation)
        rules = BatchRules(offsets: info.isCompacted ? .increasing : .consecutive, epochs: epochs)
        self.directory = directory
        self.storage = storage
        self.cache = cache
        key = cache.newKey()
        indexIntervalBytes = configuration.indexIntervalBytes
    }

    deinit { cache.remove(key) }

    var baseOffset: Int64 { info.id.baseOffset }
    var end: SegmentCursor { info.end }
    var path: StoragePath { SegmentFiles.log(info.id, in: directory) }

    func read(from offset: Int64, maximumBytes: Int) async throws(LogError) -> [RecordBatch] {
        let opened = try await open()
        return try await read(opened, from: offset, maximumBytes: maximumBytes)
    }

    func read(
        _ opened: Opened, from offset: Int64, maximumBytes: Int
    ) async throws(LogError) -> [RecordBatch] {
        let reader = SegmentReader(
            block: opened.block, origin: 0, index: opened.index, end: opened.end,
            gaps: info.gaps, rules: rules, path: path)
        // A cold map blocks the thread that touches it.
        return try await storage.offload { () throws(LogError) in
            try reader.read(from: offset, maximumBytes: maximumBytes)
        }
    }

    /// The mapped file and its index, from the cache or from disk.
    func open() async throws(LogError) -> Opened {
        try await cache.open(key) { () throws(LogError) in try await load() }
    }

    /// Maps the file and loads its index, past the cache. A damaged index is made anew from the
    /// segment, in memory and, where that works, on disk. A damaged header alone is no obstacle:
    /// the chained checksum begins with the segment's identity.
    func load() async throws(LogError) -> Opened {
        let block = try await map()
        var problems: [String] = []
        do throws(LogError) {
            try await storage.offload { [header, path] () throws(LogError) in
                try SegmentHeader.check(block.unsafeBytes, expected: header, path: path)
            }
        } catch {
            guard error.code == .damaged else {
                var error = error
                error.resumeOffset = end.nextOffset
                throw error
            }
            problems.append(error.message)
        }
        let file = IndexFile<S, OffsetIndex>(header: header, directory: directory, storage: storage)
        let (index, problem) = try await file.load(end: end)
        if let index { return Opened(block: block, index: index, end: end, problems: problems) }
        let (rebuilt, reached) = await storage.offload {
            [header, info, rules, indexIntervalBytes] in
            OffsetIndex.rebuild(
                from: block, header: header, end: info.end, gaps: info.gaps, rules: rules,
                interval: indexIntervalBytes)
        }
        do throws(LogError) {
            try await file.replace(with: rebuilt)
            problems.append("\(problem ?? "no index"); it was made anew")
        } catch {
            // A full disk must not keep anyone from reading; the next opening tries again.
            problems.append("\(problem ?? "no index"); it was made anew in memory only: \(error)")
        }
        return Opened(block: block, index: rebuilt, end: reached, problems: problems)
    }

    /// Whether a record with that timestamp or a later one may lie here, as far as the manifest
    /// knows.
    func mayHold(_ timestamp: Int64) -> Bool {
        info.times.maxTimestamp < 0 || info.times.maxTimestamp >= timestamp
    }

    /// The time index, from disk. One that does not hold is made anew from the segment, in memory
    /// and, where that works, on disk; the second value says what was wrong.
    func times() async throws(LogError) -> (index: TimeIndex, problem: String?) {
        let file = IndexFile<S, TimeIndex>(header: header, directory: directory, storage: storage)
        let (index, problem) = try await file.load(end: end)
        if let index { return (index, nil) }
        let opened = try await open()
        let rebuilt = await storage.offload { [header, rules] in
            var times = TimeIndex(baseOffset: header.baseOffset)
            times.extend(
                through: opened.block.unsafeBytes, along: opened.index, to: opened.end,
                rules: rules)
            return times
        }
        do throws(LogError) {
            try await file.replace(with: rebuilt)
            return (rebuilt, "\(problem ?? "no time index"); it was made anew")
        } catch {
            return (
                rebuilt,
                "\(problem ?? "no time index"); it was made anew in memory only: \(error)"
            )
        }
    }

    /// The time index, from memory where a lookup has used it lately.
    func cachedTimes() async throws(LogError) -> TimeIndex {
        try await cache.times(key) { () throws(LogError) in try await times().index }
    }

    func map() async throws(LogError) -> MemoryBlock {
        let size: Int
        do throws(StorageError) {
            let file = try await storage.open(path, .read)
            size = try await file.size()
            if size >= end.position {
                let block = try await file.map(count: end.position)
                await file.close()
                return block
            }
            await file.close()
        } catch {
            // A file that is gone, or something else in its place, is damage. Any other failure may
            // pass: the records are there.
            var failure = LogError(error, while: "mapping \(path)")
            failure.resumeOffset = end.nextOffset
            if error.code == .notFound || error.code == .wrongKind { failure.code = .damaged }
            throw failure
        }
        throw LogError(
            .damaged, "\(path): expected \(end.position) bytes, found \(size)",
            resumeOffset: end.nextOffset)
    }
}
