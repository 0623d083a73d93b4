internal import CordwoodStorage

/// The file of what a build in pieces does not keep in memory, `NAME.pieces`; `docs/file-formats.md` says
/// what is in it. Sections are written one after the other, and read by the build that wrote them.
struct PieceFile<S: Storage> {
    private let file: S.File
    private let purpose: String
    private var end = 0

    /// An empty one beside the index at `path`, instead of one that was left behind.
    init(beside path: StoragePath, on storage: S) async throws(VectorError) {
        purpose = "building \(path)"
        file = try await VectorError.of(purpose) { () throws(StorageError) in
            let file = try await storage.open(
                try BuildFile.pieces.path(beside: path), .openOrCreate)
            try await file.truncate(to: 0)
            return file
        }
    }

    func close() async { await file.close() }

    // MARK: Writing

    /// A section behind all others, which is the only one to be written until the next begins.
    mutating func beginSection() -> PieceSection {
        end = IndexHeader.onPage(end)
        return PieceSection(position: end)
    }

    mutating func append(
        _ bytes: MemorySlice, to section: inout PieceSection
    ) async throws(VectorError) {
        precondition(section.position + section.byteCount == end, "another section was begun")
        section.checksum = indexChecksum(bytes.unsafeBytes, after: section.checksum)
        section.byteCount += bytes.count
        let position = end
        end += bytes.count
        try await VectorError.of(purpose) { () throws(StorageError) in
            try await file.write(
                [FileWrite(at: position, [bytes])], thenSync: false, inBackground: true)
        }
    }

    // MARK: Reading

    /// Maps a section that is whole. It is for the caller to check it.
    func map(_ section: PieceSection) async throws(VectorError) -> MappedSection {
        let (first, last) = (section.position, section.position + section.byteCount)
        let block = try await VectorError.of(purpose) { () throws(StorageError) in
            try await file.map(count: last)
        }
        return MappedSection(
            bytes: MemorySlice(block, first..<last), checksum: section.checksum, purpose: purpose)
    }

    /// Reads so many bytes more of a section.
    func read(
        _ count: Int, from reading: inout PieceReading
    ) async throws(VectorError) -> MemoryBlock {
        let position = reading.section.position + reading.position
        let block = try await VectorError.of(purpose) { () throws(StorageError) in
            try await file.read(at: position, count: count)
        }
        reading.position += block.count
        reading.checksum = indexChecksum(block.unsafeBytes, after: reading.checksum)
        let isEnd = reading.position == reading.section.byteCount
        guard block.count == count, !isEnd || reading.checksum == reading.section.checksum else {
            throw VectorError.notAsWritten(purpose)
        }
        return block
    }
}

/// Where a section is, and what it is to be.
struct PieceSection: Sendable {
    let position: Int
    fileprivate(set) var byteCount = 0
    fileprivate(set) var checksum: UInt32 = 0

    fileprivate init(position: Int) { self.position = position }
}

/// How far a section was read.
struct PieceReading {
    let section: PieceSection
    fileprivate var position = 0
    fileprivate var checksum: UInt32 = 0

    init(_ section: PieceSection) { self.section = section }
}

/// A section in a map of its file.
struct MappedSection: Sendable {
    let bytes: MemorySlice
    fileprivate let checksum: UInt32
    fileprivate let purpose: String

    /// Throws unless what is read is what was written. O(bytes).
    func check() throws(VectorError) {
        guard indexChecksum(bytes.unsafeBytes) == checksum else {
            throw VectorError.notAsWritten(purpose)
        }
    }
}

extension VectorError {
    fileprivate static func notAsWritten(_ purpose: String) -> VectorError {
        VectorError(.storage, "\(purpose): a section of the file of pieces is not what was written")
    }
}
