import CordwoodLog
import CordwoodStorage
import CordwoodVectors

/// Which segments a collection has, which of their points are live, and up to which offset of the log
/// that is all true. Layout in `docs/file-formats.md`, "Segments of a collection"; why it is a file in
/// `docs/decisions/0011-a-manifest-of-segments.md`.
struct SegmentManifest: Sendable, Equatable {
    struct Entry: Sendable, Equatable {
        var number: Int64
        /// As ``SegmentFormat/kindNumber``.
        var kind: UInt8
        var files: SegmentFacts
        /// A bit for each point of the segment.
        var live: VectorBitmap
        /// The offsets that its points' records lie in.
        var offsets: Range<Int64>
    }

    static let maximumBytes = 1 << 30
    /// All numbers are below it.
    static let numberLimit: Int64 = 1 << 62
    private static let magic = Array("CWSEGMTS".utf8)
    private static let version: UInt32 = 1
    private static let headBytes = 41
    private static let entryBytes = 57
    private static let tailBytes = 4

    /// The log is replayed from here on.
    var position: LogPosition
    /// No file has had this number, nor one above it.
    var nextNumber: Int64
    var entries: [Entry]

    /// Nil when it would be larger than ``maximumBytes``.
    func encode() -> MemoryBlock? {
        let count = entries.reduce(Self.headBytes + Self.tailBytes) {
            $0 + Self.entryBytes + $1.live.words.count * 8
        }
        guard count <= Self.maximumBytes else { return nil }
        var writer = ByteWriter(count: count)
        writer.bytes(Self.magic)
        writer.littleEndian(Self.version)
        writer.littleEndian(position.offset)
        writer.littleEndian(position.leaderEpoch)
        writer.littleEndian(UInt8(position.checksum == nil ? 0 : 1))
        writer.littleEndian(position.checksum ?? 0)
        writer.littleEndian(nextNumber)
        writer.littleEndian(UInt32(entries.count))
        for entry in entries {
            writer.littleEndian(entry.number)
            writer.littleEndian(entry.kind)
            writer.littleEndian(UInt64(entry.files.indexBytes))
            writer.littleEndian(entry.files.indexChecksum)
            writer.littleEndian(UInt64(entry.files.placesBytes))
            writer.littleEndian(entry.files.placesChecksum)
            writer.littleEndian(entry.offsets.lowerBound)
            writer.littleEndian(entry.offsets.upperBound)
            writer.littleEndian(UInt64(entry.live.count))
            for word in entry.live.words { writer.littleEndian(word) }
        }
        writer.littleEndian(
            crc32c(UnsafeRawBufferPointer(rebasing: writer.block.unsafeBytes[..<writer.position])))
        return writer.finish()
    }

    init(position: LogPosition, nextNumber: Int64, entries: [Entry]) {
        self.position = position
        self.nextNumber = nextNumber
        self.entries = entries
    }

    init(_ block: MemoryBlock) throws(SegmentProblem) {
        self = try withExtendedLifetime(block) { Self.parse(block.unsafeBytes) }.get()
    }

    private static func parse(
        _ bytes: UnsafeRawBufferPointer
    ) -> Result<SegmentManifest, SegmentProblem> {
        func problem(_ text: String) -> Result<SegmentManifest, SegmentProblem> {
            .failure(SegmentProblem(text))
        }
        guard (headBytes + tailBytes...maximumBytes).contains(bytes.count) else {
            return problem(
                "expected \(headBytes + tailBytes) to \(maximumBytes) bytes, found \(bytes.count)")
        }
        let end = bytes.count - tailBytes
        var reader = ByteReader(UnsafeRawBufferPointer(rebasing: bytes[..<end]))
        var tail = ByteReader(bytes, at: end)
        guard reader.bytes(magic.count).map({ $0.elementsEqual(magic) }) == true else {
            return problem("expected a file that begins with \"CWSEGMTS\", found another")
        }
        guard
            tail.littleEndian(UInt32.self)
                == crc32c(UnsafeRawBufferPointer(rebasing: bytes[..<end]))
        else { return problem("the checksum does not hold") }
        guard let version = reader.littleEndian(UInt32.self), version == Self.version else {
            return problem("expected version \(Self.version), found another")
        }
        guard let offset = reader.littleEndian(Int64.self), offset >= 0,
            let epoch = reader.littleEndian(Int32.self),
            let isKnown = reader.littleEndian(UInt8.self), isKnown <= 1,
            let checksum = reader.littleEndian(UInt32.self),
            let nextNumber = reader.littleEndian(Int64.self),
            (1...numberLimit).contains(nextNumber),
            let count = reader.littleEndian(UInt32.self),
            Int(count) <= reader.remaining / entryBytes
        else { return problem("the header does not parse") }
        var manifest = SegmentManifest(
            position: LogPosition(
                offset: offset, leaderEpoch: epoch, checksum: isKnown == 1 ? checksum : nil),
            nextNumber: nextNumber, entries: [])
        for _ in 0..<count {
            guard let entry = entry(&reader), entry.number < nextNumber,
                entry.offsets.upperBound <= offset,
                !manifest.entries.contains(where: { $0.number == entry.number })
            else { return problem("an entry does not parse") }
            manifest.entries.append(entry)
        }
        guard reader.remaining == 0 else { return problem("the entries do not fill the file") }
        return .success(manifest)
    }

    private static func entry(_ reader: inout ByteReader) -> Entry? {
        func size() -> Int? { reader.littleEndian(UInt64.self).flatMap { Int(exactly: $0) } }
        guard let number = reader.littleEndian(Int64.self), number >= 1,
            let kind = reader.littleEndian(UInt8.self), let indexBytes = size(),
            let indexChecksum = reader.littleEndian(UInt32.self), let placesBytes = size(),
            let placesChecksum = reader.littleEndian(UInt32.self),
            let first = reader.littleEndian(Int64.self), first >= 0,
            let end = reader.littleEndian(Int64.self), end > first,
            let count = size(), count >= 1, count <= maximumBytes * 8,
            placesBytes == SegmentPlaces.byteCount(of: count),
            let bits = reader.bytes(VectorBitmap.wordCount(of: count) * 8)
        else { return nil }
        let words = stride(from: 0, to: bits.count, by: 8).map {
            UInt64(littleEndian: bits.loadUnaligned(fromByteOffset: $0, as: UInt64.self))
        }
        guard let live = VectorBitmap(count: count, words: words) else { return nil }
        return Entry(
            number: number, kind: kind,
            files: SegmentFacts(
                indexBytes: indexBytes, indexChecksum: indexChecksum, placesBytes: placesBytes,
                placesChecksum: placesChecksum),
            live: live, offsets: first..<end)
    }
}
