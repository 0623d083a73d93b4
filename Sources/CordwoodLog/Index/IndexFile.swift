import CordwoodStorage

/// A segment's index on disk: pages that are written as they fill, and replaced whole when they lie.
struct IndexFile<S: Storage> {
    let header: SegmentHeader
    let directory: StoragePath
    let storage: S

    /// An index that was lost is made anew with entries this far apart.
    static var rebuildIntervalBytes: Int { 4096 }

    var path: StoragePath { SegmentFiles.index(header.baseOffset, in: directory) }

    /// The whole index of a sealed segment, or nil and what is wrong with it.
    func load(end: SegmentCursor) async throws(LogError) -> (OffsetIndex?, String?) {
        let (index, problem) = try await loadPrefix()
        if let problem { return (nil, problem) }
        guard let first = index.entries.first, Int(first.position) == SegmentHeader.byteCount,
            let last = index.entries.last,
            Int(last.position) < end.position
                || (end.position == SegmentHeader.byteCount && index.entries.count == 1)
        else {
            return (nil, "\(path): expected entries from the segment's start to its end")
        }
        return (index, nil)
    }

    /// The sound pages from the front of the file, and why the rest was not read, if there is one.
    func loadPrefix() async throws(LogError) -> (OffsetIndex, String?) {
        var index = OffsetIndex(baseOffset: header.baseOffset)
        let block: MemoryBlock
        do throws(StorageError) {
            let file = try await storage.open(path, .read)
            let size = try await file.size()
            block = try await file.read(at: 0, count: min(size, Self.maximumFileBytes))
            await file.close()
        } catch {
            if error.code == .notFound { return (index, "\(path): missing") }
            throw LogError(error, while: "reading an index")
        }
        let pageBytes = IndexPage.byteCount
        var number = 0
        while number * pageBytes < block.count {
            let range = number * pageBytes..<min((number + 1) * pageBytes, block.count)
            let bytes = UnsafeRawBufferPointer(rebasing: block.unsafeBytes[range])
            guard let entries = IndexPage.decode(bytes, number: number, header: header) else {
                return (index, "\(path): page \(number) is not sound")
            }
            for entry in entries where !index.append(read: entry) {
                return (index, "\(path): page \(number) is out of order")
            }
            number += 1
            if entries.count < IndexPage.capacity { break }
        }
        if number * pageBytes != block.count {
            return (index, "\(path): expected \(number * pageBytes) bytes, found \(block.count)")
        }
        return (index, index.entries.isEmpty ? "\(path): empty" : nil)
    }

    /// A segment has at most 2^31 bytes, and an entry at least every 64 of them.
    private static var maximumFileBytes: Int { 1 << 30 }

    /// Writes a whole index under a temporary name, syncs it and renames it into place.
    func replace(with index: OffsetIndex) async throws(LogError) {
        do throws(StorageError) {
            let staged = try directory.appending(path.names.last! + ".new")
            let file = try await storage.open(staged, .openOrCreate)
            try await file.truncate(to: 0)
            try await file.write([FileWrite(at: 0, pages(of: index))], thenSync: true)
            await file.close()
            try await storage.rename(staged, to: path)
            try await storage.syncDirectory(directory)
        } catch { throw LogError(error, while: "writing an index anew") }
    }

    func pages(of index: OffsetIndex) -> [MemorySlice] {
        let entries = index.entries
        let count = (entries.count + IndexPage.capacity - 1) / IndexPage.capacity
        return (0..<count).map { number in
            let first = number * IndexPage.capacity
            let page = entries[first..<min(first + IndexPage.capacity, entries.count)]
            return MemorySlice(IndexPage.encode(page, number: number, header: header))
        }
    }
}

extension OffsetIndex {
    /// Makes an index by walking a segment's batches. Damage ends an interval; the entries go on at
    /// the next sound batch. O(bytes).
    static func rebuild(
        from block: MemoryBlock, header: SegmentHeader, end: SegmentCursor, gaps: [Gap],
        interval: Int
    ) -> OffsetIndex {
        var index = OffsetIndex(baseOffset: header.baseOffset)
        var cursor = SegmentCursor.start(logID: header.logID, baseOffset: header.baseOffset)
        index.append(cursor)
        while cursor.position < end.position {
            let rest = UnsafeRawBufferPointer(
                rebasing: block.unsafeBytes[cursor.position..<end.position])
            index.note(cursor, interval: interval)
            do throws(BatchProblem) {
                _ = try cursor.next(in: rest)
            } catch {
                let known = gaps.first { $0.positions.lowerBound == cursor.position }
                let found = SegmentCursor.firstBatch(
                    in: UnsafeRawBufferPointer(rebasing: rest[min(1, rest.count)...]),
                    minimumOffset: cursor.nextOffset)
                guard
                    let gap = known
                        ?? found.map({
                            Gap(
                                positions: cursor.position..<cursor.position + 1 + $0.position,
                                offsets: cursor.nextOffset..<$0.header.baseOffset)
                        })
                else { return index }
                cursor = .after(gap, header: header)
                if cursor.position < end.position { index.append(cursor) }
            }
        }
        return index
    }
}

extension SegmentCursor {
    /// Behind a gap the chain begins anew, from the gap's end.
    static func after(_ gap: Gap, header: SegmentHeader) -> SegmentCursor {
        SegmentCursor(
            position: gap.positions.upperBound, nextOffset: gap.offsets.upperBound,
            chain: BatchChain(logID: header.logID, baseOffset: gap.offsets.upperBound))
    }
}
