import CordwoodStorage

/// A segment's index on disk: pages that are written as they fill, and replaced whole when they
/// lie.
struct IndexFile<S: Storage, Index: SegmentIndex> {
    let header: SegmentHeader
    let directory: StoragePath
    let storage: S

    var path: StoragePath { Index.path(header, in: directory) }

    /// What could be read of an index file.
    struct Prefix {
        /// The entries of the sound pages from the front of the file.
        var index: Index
        /// Why the rest was not read, if there is one.
        var problem: String?
        var fileExists = true
        /// Whether what lies there is no file at all: a link, a directory, a FIFO.
        var isForeign = false
        /// Whether the last page is there: the one that is not full.
        var hasLastPage = false

        /// What the index of a sealed segment without its last page is.
        var cutProblem: String { "the last page is missing" }
    }

    /// The whole index of a sealed segment, or nil and what is wrong with it.
    func load(end: SegmentCursor) async throws(LogError) -> (Index?, String?) {
        let prefix = try await loadPrefix()
        if let problem = prefix.problem { return (nil, problem) }
        guard prefix.hasLastPage else { return (nil, "\(path): \(prefix.cutProblem)") }
        guard prefix.index.entries.count == 1 || prefix.index.lies(before: end) else {
            return (nil, "\(path): expected entries before the segment's end")
        }
        return (prefix.index, nil)
    }

    func loadPrefix() async throws(LogError) -> Prefix {
        let empty = Index(baseOffset: header.baseOffset)
        let file: S.File
        do throws(StorageError) {
            file = try await storage.open(path, .read)
        } catch {
            if error.code == .notFound {
                return Prefix(index: empty, problem: "\(path): missing", fileExists: false)
            }
            if error.code == .wrongKind {
                return Prefix(index: empty, problem: "\(error)", isForeign: true)
            }
            throw LogError(error, while: "opening an index")
        }
        let result: Result<Prefix, StorageError>
        do throws(StorageError) { result = .success(try await decode(file)) } catch {
            result = .failure(error)
        }
        await file.close()
        switch result {
        case .success(let prefix): return prefix
        // A bad sector here must not make records unreadable: the segment has all that it takes.
        case .failure(let error): return Prefix(index: empty, problem: "\(error)")
        }
    }

    /// How much is read at a time, whatever the file's size: only sound pages cost memory.
    private static var pieceBytes: Int { 64 * IndexPage.byteCount }

    private func decode(_ file: S.File) async throws(StorageError) -> Prefix {
        let size = try await file.size()
        var prefix = Prefix(index: Index(baseOffset: header.baseOffset))
        var position = 0
        while position < size, prefix.problem == nil, !prefix.hasLastPage {
            let piece = try await file.read(
                at: position, count: min(Self.pieceBytes, size - position))
            var start = 0
            repeat {
                let end = min(start + IndexPage.byteCount, piece.count)
                withExtendedLifetime(piece) {
                    take(
                        UnsafeRawBufferPointer(rebasing: piece.unsafeBytes[start..<end]),
                        number: position / IndexPage.byteCount, into: &prefix)
                }
                if prefix.problem == nil { position += IndexPage.byteCount }
                start = end
            } while start < piece.count && prefix.problem == nil && !prefix.hasLastPage
        }
        guard Index.canBegin(with: prefix.index.entries.first, header: header) else {
            return Prefix(
                index: Index(baseOffset: header.baseOffset),
                problem: prefix.problem
                    ?? "\(path): expected a first entry at the segment's start")
        }
        if prefix.problem == nil, position != size {
            prefix.problem = "\(path): expected \(position) bytes, found \(size)"
        }
        return prefix
    }

    /// Takes in the next page, or says what is wrong with it.
    private func take(_ page: UnsafeRawBufferPointer, number: Int, into prefix: inout Prefix) {
        let decoded: [Index.Entry]? = IndexPage.decode(page, number: number, header: header)
        guard let entries = decoded else {
            prefix.problem = "\(path): page \(number) is not sound"
            return
        }
        for entry in entries where !prefix.index.append(read: entry) {
            prefix.problem = "\(path): page \(number) is out of order"
            return
        }
        prefix.hasLastPage = entries.count < Index.Entry.pageCapacity
    }

    /// Writes a whole index under a temporary name, syncs it and renames it into place.
    func replace(with index: Index) async throws(LogError) {
        do throws(StorageError) {
            let staged = try directory.appending(path.names.last! + ".new")
            let file = try await storage.open(staged, .openOrCreate)
            try await file.truncate(to: 0)
            let pages = IndexPage.encodeAll(index.entries[...], header: header)
            try await file.write([FileWrite(at: 0, pages)], thenSync: true)
            await file.close()
            try await storage.rename(staged, to: path)
            try await storage.syncDirectory(directory)
        } catch { throw LogError(error, while: "writing an index anew") }
    }

    /// Moves out of the way what is no file, so that the index can take its place; returns where to.
    func setAside() async throws(LogError) -> StoragePath {
        do throws(StorageError) {
            let place = try directory.appending(path.names.last! + ".foreign")
            try await storage.rename(path, to: place)
            return place
        } catch { throw LogError(error, while: "moving what is no index out of the way") }
    }

    /// Cuts the file behind its first `count` pages, durably.
    func keep(pages count: Int) async throws(LogError) {
        do throws(StorageError) {
            let file = try await storage.open(path, .readWrite)
            try await file.truncate(to: count * IndexPage.byteCount)
            try await file.sync()
            await file.close()
        } catch { throw LogError(error, while: "cutting an index") }
    }
}

extension OffsetIndex {
    /// Makes an index by walking a segment's batches, and returns it with the place where the walk
    /// ended. Damage ends an interval; the entries go on at the next sound batch. O(bytes).
    static func rebuild(
        from block: MemoryBlock, header: SegmentHeader, end: SegmentCursor, gaps: [Gap],
        rules: BatchRules, interval: Int
    ) -> (index: OffsetIndex, end: SegmentCursor) {
        var index = OffsetIndex(baseOffset: header.baseOffset)
        var cursor = SegmentCursor.start(logID: header.logID, baseOffset: header.baseOffset)
        index.append(cursor)
        while cursor.position < end.position {
            let rest = UnsafeRawBufferPointer(
                rebasing: block.unsafeBytes[cursor.position..<end.position])
            if let gap = gaps.first(where: { $0.positions.lowerBound == cursor.position }) {
                cursor = .after(gap, header: header)
                if cursor.position < end.position { index.append(cursor) }
                continue
            }
            let place = cursor
            do throws(BatchProblem) {
                _ = try cursor.next(in: rest, rules: rules)
                index.note(place, interval: interval)
            } catch {
                let limit = Landmark.next(behind: place.position, gaps: gaps, end: end)
                if let found = place.survivor(in: rest, before: limit, rules: rules) {
                    cursor = found.place
                    index.append(cursor)
                } else if limit.position < end.position {
                    // Nothing sound is left before the next known damage, which says where it ends.
                    cursor.position = limit.position
                } else {
                    return (index, end)
                }
            }
        }
        return (index, cursor)
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
