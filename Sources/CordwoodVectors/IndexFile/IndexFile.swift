internal import CCordwoodChecksum
internal import CordwoodStorage

/// Where an index that is opened has its bytes.
public enum IndexResidency: Sendable, Hashable {
    /// In memory of its own, in huge pages where the system has them: the fastest to search.
    case memory
    /// In the system's page cache, which may give pages up and read them again when they are touched.
    case mapped
}

/// The file of an index: a header page that names sections, and the sections, each with a checksum.
/// `docs/file-formats.md` has the bytes.
///
/// A file is written under another name, synced, renamed and its directory synced, so that it is there
/// whole or not at all; and never changed. What is read from one is believed only after every checksum
/// held, and each number in it was held against a cap and against the length of what it counts.
struct IndexFile {
    static let version: UInt32 = 1
    static let pageBytes = 4096
    static let maximumSections = 64
    private static let magic: [UInt8] = Array("CORDWIDX".utf8)
    private static let headBytes = 32
    private static let entryBytes = 32
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
        let header = header()
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

    private func header() -> MemorySlice {
        var writer = ByteWriter(count: Self.pageBytes)
        writer.bytes(Self.magic)
        writer.littleEndian(Self.version)
        writer.littleEndian(UInt32(0))
        writer.littleEndian(kind.rawValue)
        writer.littleEndian(UInt32(sections.count))
        let positions = positions
        let end = zip(positions, sections).map { $0 + $1.bytes.count }.max() ?? Self.pageBytes
        writer.littleEndian(UInt64(end))
        for (position, section) in zip(positions, sections) {
            writer.bytes(Array(section.tag.utf8))
            writer.littleEndian(checksum(section.bytes.unsafeBytes))
            writer.littleEndian(UInt64(position))
            writer.littleEndian(UInt64(section.bytes.count))
            writer.littleEndian(UInt64(0))
        }
        writer.zeros(Self.pageBytes - writer.position)
        let bytes = writer.block.unsafeMutableBytes
        bytes.storeBytes(
            of: checksum(UnsafeRawBufferPointer(bytes)).littleEndian, toByteOffset: 12,
            as: UInt32.self)
        return MemorySlice(writer.block)
    }

    /// Where each section starts; one without bytes takes no place.
    private var positions: [Int] {
        var next = Self.pageBytes
        return sections.map { section in
            guard section.bytes.count > 0 else { return Self.pageBytes }
            defer { next = Self.onPage(next + section.bytes.count) }
            return next
        }
    }

    private static func onPage(_ position: Int) -> Int {
        (position + pageBytes - 1) / pageBytes * pageBytes
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
        let bytes = block.unsafeBytes
        guard bytes.count >= Self.pageBytes else {
            throw VectorError(
                .damaged,
                "expected a header of \(Self.pageBytes) bytes, found \(bytes.count) bytes in all")
        }
        guard bytes.prefix(8).elementsEqual(Self.magic) else {
            throw VectorError(
                .unknownFormat, "expected a file of an index, found another beginning")
        }
        let page = [UInt8](bytes.prefix(Self.pageBytes))
        var zeroed = page
        zeroed.replaceSubrange(12..<16, with: [0, 0, 0, 0])
        let (version, sum, found, count, length) = page.withUnsafeBytes { page in
            (
                page.number(8, UInt32.self), page.number(12, UInt32.self),
                page.number(16, UInt32.self), page.number(20, UInt32.self),
                page.number(24, UInt64.self)
            )
        }
        guard version == Self.version else {
            throw VectorError(
                .unknownFormat,
                "expected version \(Self.version) of an index's file, found \(version)")
        }
        guard zeroed.withUnsafeBytes({ checksum($0) }) == sum else {
            throw VectorError(.damaged, "the header does not match its checksum")
        }
        guard found == kind.rawValue else {
            throw VectorError(
                .unknownFormat, "expected an index of kind \(kind.rawValue), found \(found)")
        }
        guard count <= Self.maximumSections, length == UInt64(bytes.count) else {
            throw VectorError(
                .damaged,
                "expected at most \(Self.maximumSections) sections and \(length) bytes, found "
                    + "\(count) sections and \(bytes.count) bytes")
        }
        var sections: [Section] = []
        for number in 0..<Int(count) {
            sections.append(
                try Self.section(page, Self.headBytes + number * Self.entryBytes, in: block))
        }
        self.kind = kind
        self.sections = sections
    }

    private static func section(
        _ page: [UInt8], _ place: Int, in block: MemoryBlock
    ) throws(VectorError) -> Section {
        let tag = String(decoding: page[place..<place + 4], as: UTF8.self)
        let (sum, position, length) = page.withUnsafeBytes { page in
            (
                page.number(place + 4, UInt32.self), page.number(place + 8, UInt64.self),
                page.number(place + 16, UInt64.self)
            )
        }
        let end = position.addingReportingOverflow(length)
        guard !end.overflow, end.partialValue <= UInt64(block.count),
            position >= UInt64(pageBytes), position % UInt64(pageBytes) == 0
        else {
            throw VectorError(
                .damaged,
                "section \(tag): \(length) bytes at \(position) do not lie in \(block.count) bytes")
        }
        let bytes = MemorySlice(block, Int(position)..<Int(end.partialValue))
        guard checksum(bytes.unsafeBytes) == sum else {
            throw VectorError(.damaged, "section \(tag) does not match its checksum")
        }
        return Section(tag: tag, bytes: bytes)
    }

    init(kind: Kind, sections: [Section]) {
        self.kind = kind
        self.sections = sections
    }
}

private func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    cordwood_crc32c(0, bytes.baseAddress, bytes.count)
}

extension UnsafeRawBufferPointer {
    /// A little-endian number, which must lie within the bytes.
    func number<Number: FixedWidthInteger & BitwiseCopyable>(
        _ position: Int, _ type: Number.Type
    ) -> Number {
        Number(littleEndian: loadUnaligned(fromByteOffset: position, as: type))
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
