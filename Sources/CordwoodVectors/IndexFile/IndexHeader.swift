internal import CCordwoodChecksum
internal import CordwoodStorage

/// The first page of an index's file: what the index is, and which sections it has where.
/// `docs/file-formats.md` has the bytes.
struct IndexHeader {
    static let version: UInt32 = 1
    static let pageBytes = 4096
    static let maximumSections = 64
    private static let magic: [UInt8] = Array("CORDWIDX".utf8)
    private static let headBytes = 32
    private static let entryBytes = 32

    struct Entry: Hashable {
        /// Four letters.
        var tag: String
        var checksum: UInt32
        var position: Int
        var byteCount: Int
        /// Whether each page of it has a checksum of its own instead.
        var isCheckedByPage = false
    }

    let kind: IndexFile.Kind
    let entries: [Entry]

    init(kind: IndexFile.Kind, entries: [Entry]) {
        self.kind = kind
        self.entries = entries
    }

    subscript(tag: String) -> Entry? { entries.first { $0.tag == tag } }

    static func onPage(_ position: Int) -> Int {
        (position + pageBytes - 1) / pageBytes * pageBytes
    }

    /// The page.
    var encoded: MemorySlice {
        var writer = ByteWriter(count: Self.pageBytes)
        writer.bytes(Self.magic)
        writer.littleEndian(Self.version)
        writer.littleEndian(UInt32(0))
        writer.littleEndian(kind.rawValue)
        writer.littleEndian(UInt32(entries.count))
        let end = entries.map { $0.position + $0.byteCount }.max() ?? Self.pageBytes
        writer.littleEndian(UInt64(end))
        for entry in entries {
            writer.bytes(Array(entry.tag.utf8))
            writer.littleEndian(entry.checksum)
            writer.littleEndian(UInt64(entry.position))
            writer.littleEndian(UInt64(entry.byteCount))
            writer.littleEndian(UInt64(entry.isCheckedByPage ? 1 : 0))
        }
        writer.zeros(Self.pageBytes - writer.position)
        let bytes = writer.block.unsafeMutableBytes
        bytes.storeBytes(
            of: indexChecksum(UnsafeRawBufferPointer(bytes)).littleEndian, toByteOffset: 12,
            as: UInt32.self)
        return MemorySlice(writer.block)
    }

    /// Reads the header of a file of `fileBytes` bytes from its beginning, and checks it.
    init(
        checking bytes: UnsafeRawBufferPointer, fileBytes: Int, _ kind: IndexFile.Kind
    ) throws(VectorError) {
        guard bytes.count >= Self.pageBytes else {
            throw VectorError(
                .damaged,
                "expected a header of \(Self.pageBytes) bytes, found \(bytes.count) bytes in all")
        }
        guard bytes.prefix(8).elementsEqual(Self.magic) else {
            throw VectorError(
                .unknownFormat, "expected a file of an index, found another beginning")
        }
        let page = UnsafeRawBufferPointer(rebasing: bytes.prefix(Self.pageBytes))
        let version = page.number(8, UInt32.self)
        guard version == Self.version else {
            throw VectorError(
                .unknownFormat,
                "expected version \(Self.version) of an index's file, found \(version)")
        }
        var zeroed = [UInt8](page)
        zeroed.replaceSubrange(12..<16, with: [0, 0, 0, 0])
        guard zeroed.withUnsafeBytes({ indexChecksum($0) }) == page.number(12, UInt32.self) else {
            throw VectorError(.damaged, "the header does not match its checksum")
        }
        let found = page.number(16, UInt32.self)
        guard found == kind.rawValue else {
            throw VectorError(
                .unknownFormat, "expected an index of kind \(kind.rawValue), found \(found)")
        }
        let (count, length) = (page.number(20, UInt32.self), page.number(24, UInt64.self))
        guard count <= Self.maximumSections, length == UInt64(fileBytes) else {
            throw VectorError(
                .damaged,
                "expected at most \(Self.maximumSections) sections and \(length) bytes, found "
                    + "\(count) sections and \(fileBytes) bytes")
        }
        var entries: [Entry] = []
        for number in 0..<Int(count) {
            entries.append(
                try Self.entry(page, Self.headBytes + number * Self.entryBytes, fileBytes))
        }
        self.kind = kind
        self.entries = entries
    }

    private static func entry(
        _ page: UnsafeRawBufferPointer, _ place: Int, _ fileBytes: Int
    ) throws(VectorError) -> Entry {
        let tag = String(decoding: page[place..<place + 4], as: UTF8.self)
        let position = page.number(place + 8, UInt64.self)
        let length = page.number(place + 16, UInt64.self)
        let end = position.addingReportingOverflow(length)
        guard !end.overflow, end.partialValue <= UInt64(fileBytes),
            position >= UInt64(pageBytes), position % UInt64(pageBytes) == 0
        else {
            throw VectorError(
                .damaged,
                "section \(tag): \(length) bytes at \(position) do not lie in \(fileBytes) bytes")
        }
        return Entry(
            tag: tag, checksum: page.number(place + 4, UInt32.self), position: Int(position),
            byteCount: Int(length), isCheckedByPage: page.number(place + 24, UInt64.self) == 1)
    }
}

/// CRC-32C.
func indexChecksum(_ bytes: UnsafeRawBufferPointer, after sum: UInt32 = 0) -> UInt32 {
    cordwood_crc32c(sum, bytes.baseAddress, bytes.count)
}

extension UnsafeRawBufferPointer {
    /// A little-endian number, which must lie within the bytes.
    func number<Number: FixedWidthInteger & BitwiseCopyable>(
        _ position: Int, _ type: Number.Type
    ) -> Number {
        Number(littleEndian: loadUnaligned(fromByteOffset: position, as: type))
    }
}
