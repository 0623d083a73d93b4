import CordwoodStorage
import Synchronization

/// A segment that will never change again: mapped read-only on first use.
///
/// Safe to read from any task. Opening and reading may block on the disk, so they run on the
/// storage's own threads.
final class SealedSegment<S: Storage>: Sendable {
    let header: SegmentHeader
    let end: SegmentCursor
    let gaps: [Gap]
    private let directory: StoragePath
    private let storage: S
    private let opened = Mutex<Opened?>(nil)

    /// The file in memory, and its index.
    struct Opened {
        var block: MemoryBlock
        var index: OffsetIndex
        /// What was wrong with the index file, when it had to be made anew.
        var indexProblem: String?
    }

    init(
        header: SegmentHeader, end: SegmentCursor, gaps: [Gap], directory: StoragePath, storage: S
    ) {
        self.header = header
        self.end = end
        self.gaps = gaps
        self.directory = directory
        self.storage = storage
    }

    var baseOffset: Int64 { header.baseOffset }
    var path: StoragePath { SegmentFiles.log(baseOffset, in: directory) }

    func read(from offset: Int64, maximumBytes: Int) async throws(LogError) -> [RecordBatch] {
        let opened = try await open()
        return try await read(opened, from: offset, maximumBytes: maximumBytes)
    }

    func read(
        _ opened: Opened, from offset: Int64, maximumBytes: Int
    ) async throws(LogError) -> [RecordBatch] {
        let reader = SegmentReader(
            block: opened.block, origin: 0, index: opened.index, end: end, gaps: gaps, path: path)
        // A cold map blocks the thread that touches it.
        return try await storage.offload { () throws(LogError) in
            try reader.read(from: offset, maximumBytes: maximumBytes)
        }
    }

    /// The mapped file and its index, from the cache or from disk.
    func open() async throws(LogError) -> Opened {
        if let opened = opened.withLock({ $0 }) { return opened }
        let fresh = try await load()
        opened.withLock { $0 = fresh }
        return fresh
    }

    /// Maps the file and loads its index, past the cache. A damaged index is made anew from the
    /// segment, in memory and on disk.
    func load() async throws(LogError) -> Opened {
        let block = try await map()
        try await storage.offload { [header, path] () throws(LogError) in
            try SegmentHeader.check(block.unsafeBytes, expected: header, path: path)
        }
        let file = IndexFile(header: header, directory: directory, storage: storage)
        let (index, problem) = try await file.load(end: end)
        if let index { return Opened(block: block, index: index) }
        let interval = IndexFile<S>.rebuildIntervalBytes
        let rebuilt = await storage.offload { [header, end, gaps] in
            OffsetIndex.rebuild(
                from: block, header: header, end: end, gaps: gaps, interval: interval)
        }
        try await file.replace(with: rebuilt)
        return Opened(block: block, index: rebuilt, indexProblem: problem)
    }

    private func map() async throws(LogError) -> MemoryBlock {
        do throws(StorageError) {
            let file = try await storage.open(path, .read)
            let size = try await file.size()
            guard size >= end.position else {
                await file.close()
                throw StorageError(
                    .failed, operation: "map", path: path.description,
                    detail: "expected \(end.position) bytes, found \(size)")
            }
            let block = try await file.map(count: end.position)
            await file.close()
            return block
        } catch {
            var damage = LogError(error, while: "mapping a sealed segment")
            damage.code = .damaged
            damage.resumeOffset = end.nextOffset
            throw damage
        }
    }
}
