internal import CordwoodStorage

/// Where an index that is opened has its bytes.
public enum IndexResidency: Sendable, Hashable {
    /// In memory of its own, in huge pages where the system has them: the fastest to search.
    case memory
    /// In the system's page cache, which may give pages up and read them again when they are touched.
    case mapped
}

/// The file of an index: a header page that names sections (``IndexHeader``), and the sections, each
/// with a checksum. `docs/file-formats.md` has the bytes.
///
/// A file is written under another name, synced, renamed and its directory synced, so that it is there
/// whole or not at all; and never changed. What is read from one is believed only after every checksum
/// held, and each number in it was held against a cap and against the length of what it counts.
struct IndexFile {
    static let pageBytes = IndexHeader.pageBytes
    private static let chunkBytes = 8 << 20

    /// What an index is, and so which sections it has.
    enum Kind: UInt32 {
        case hnsw = 1
        case ivf = 2
        case disk = 3
        case flat = 4
    }

    struct Section {
        /// Four letters.
        var tag: String
        var bytes: MemorySlice
    }

    let kind: Kind
    let sections: [Section]

    /// The bytes of a section, or nil where the file has none of that tag.
    subscript(tag: String) -> MemorySlice? { sections.first { $0.tag == tag }?.bytes }

    /// The bytes of a section that must be there, and so long.
    func section(_ tag: String, _ count: Int) throws(VectorError) -> MemorySlice {
        guard let bytes = self[tag], bytes.count == count else {
            throw VectorError(
                .damaged, "section \(tag): expected \(count) bytes, found \(self[tag]?.count ?? 0)")
        }
        return bytes
    }

    // MARK: Writing

    /// Returns when the file and its name are durable. Throws ``VectorError/Code/storage``; a file that
    /// had the name is then as it was, or already the new one where only the last sync failed.
    func write<S: Storage>(to path: StoragePath, on storage: S) async throws(VectorError) {
        let header = header.encoded
        do throws(StorageError) {
            let staged = try path.parent.appending(path.names.last! + ".new")
            let file = try await storage.open(staged, .openOrCreate)
            do throws(StorageError) {
                try await file.truncate(to: 0)
                for (start, section) in zip(positions, sections) {
                    var position = start
                    for chunk in section.bytes.chunks(of: Self.chunkBytes) {
                        try await file.write(
                            [FileWrite(at: position, [chunk])], thenSync: false, inBackground: true)
                        position += chunk.count
                    }
                }
                try await file.write([FileWrite(at: 0, [header])], thenSync: true)
            } catch {
                await file.close()
                throw error
            }
            await file.close()
            try await storage.rename(staged, to: path)
            try await storage.syncDirectory(path.parent)
        } catch { throw VectorError(.storage, "writing \(path): \(error)") }
    }

    private var header: IndexHeader {
        IndexHeader(
            kind: kind,
            entries: zip(positions, sections).map { position, section in
                .init(
                    tag: section.tag, checksum: indexChecksum(section.bytes.unsafeBytes),
                    position: position, byteCount: section.bytes.count)
            })
    }

    /// Where each section starts; one without bytes takes no place.
    private var positions: [Int] {
        var next = Self.pageBytes
        return sections.map { section in
            guard section.bytes.count > 0 else { return Self.pageBytes }
            defer { next = IndexHeader.onPage(next + section.bytes.count) }
            return next
        }
    }

    // MARK: Reading

    /// Opens a file and holds every byte of it against its checksum. O(bytes), on the storage's
    /// threads. Throws ``VectorError/Code/storage``, ``VectorError/Code/unknownFormat`` or
    /// ``VectorError/Code/damaged``.
    static func open<S: Storage>(
        _ path: StoragePath, _ kind: Kind, on storage: S, residency: IndexResidency
    ) async throws(VectorError) -> IndexFile {
        let block: MemoryBlock
        do throws(StorageError) {
            let file = try await storage.open(path, .read)
            do throws(StorageError) {
                block = try await bytes(of: file, residency)
            } catch {
                await file.close()
                throw error
            }
            await file.close()
        } catch { throw VectorError(.storage, "reading \(path): \(error)") }
        do throws(VectorError) {
            return try await storage.offload { () throws(VectorError) in
                try IndexFile(checking: block, kind)
            }
        } catch { throw VectorError(error.code, "\(path): \(error.detail)") }
    }

    private static func bytes(
        of file: some StorageFile, _ residency: IndexResidency
    ) async throws(StorageError) -> MemoryBlock {
        let size = try await file.size()
        guard residency == .memory, size > 0 else { return try await file.map(count: size) }
        guard let memory = try? MappedMemory(byteCount: size) else {
            return try await file.map(count: size)
        }
        memory.preferHugePages()
        for position in stride(from: 0, to: size, by: chunkBytes) {
            let chunk = try await file.read(at: position, count: min(chunkBytes, size - position))
            // A file that was cut meanwhile leaves zeros, which no checksum takes for the bytes.
            if let source = chunk.unsafeBytes.baseAddress {
                (memory.base + position).copyMemory(from: source, byteCount: chunk.count)
            }
        }
        return memory.block(count: size)
    }

    /// Reads the header and checks all bytes.
    init(checking block: MemoryBlock, _ kind: Kind) throws(VectorError) {
        let header = try IndexHeader(
            checking: block.unsafeBytes, fileBytes: block.count, kind)
        var sections: [Section] = []
        for entry in header.entries {
            let bytes = MemorySlice(block, entry.position..<entry.position + entry.byteCount)
            guard !entry.isCheckedByPage, indexChecksum(bytes.unsafeBytes) == entry.checksum else {
                throw VectorError(
                    .damaged, "section \(entry.tag) does not match its checksum")
            }
            sections.append(Section(tag: entry.tag, bytes: bytes))
        }
        self.kind = kind
        self.sections = sections
    }

    init(kind: Kind, sections: [Section]) {
        self.kind = kind
        self.sections = sections
    }
}

extension MemorySlice {
    /// The slice in pieces of at most `count` bytes.
    fileprivate func chunks(of count: Int) -> [MemorySlice] {
        stride(from: range.lowerBound, to: range.upperBound, by: count).map {
            MemorySlice(block, $0..<Swift.min($0 + count, range.upperBound))
        }
    }
}
