import CordwoodLog
import CordwoodStorage

/// The file beside a segment's index that has the offset of each point's record, by the point's place.
/// Layout in `docs/file-formats.md`, "Segments of a collection".
enum SegmentPlaces {
    private static let magic = Array("CWPLACES".utf8)
    private static let version: UInt32 = 1
    private static let headBytes = 28
    private static let tailBytes = 4

    /// How long the file of so many points is.
    static func byteCount(of count: Int) -> Int { headBytes + count * 8 + tailBytes }

    /// The file, and the checksum that it ends with.
    static func encode(_ offsets: [Int64], number: Int64) -> (bytes: MemoryBlock, checksum: UInt32)
    {
        var writer = ByteWriter(count: byteCount(of: offsets.count))
        writer.bytes(magic)
        writer.littleEndian(version)
        writer.littleEndian(number)
        writer.littleEndian(UInt64(offsets.count))
        for offset in offsets { writer.littleEndian(offset) }
        let checksum = crc32c(
            UnsafeRawBufferPointer(rebasing: writer.block.unsafeBytes[..<writer.position]))
        writer.littleEndian(checksum)
        return (writer.finish(), checksum)
    }

    /// The offsets of `count` points of the segment with that number.
    static func decode(
        _ block: MemoryBlock, number: Int64, count: Int
    ) throws(SegmentProblem) -> [Int64] {
        let result = withExtendedLifetime(block) {
            parse(block.unsafeBytes, number: number, count: count)
        }
        return try result.get()
    }

    private static func parse(
        _ bytes: UnsafeRawBufferPointer, number: Int64, count: Int
    ) -> Result<[Int64], SegmentProblem> {
        func problem(_ text: String) -> Result<[Int64], SegmentProblem> {
            .failure(SegmentProblem("places: \(text)"))
        }
        guard count <= bytes.count, bytes.count == byteCount(of: count) else {
            return problem("expected those of \(count) points, found \(bytes.count) bytes")
        }
        var reader = ByteReader(bytes)
        let end = bytes.count - tailBytes
        var tail = ByteReader(bytes, at: end)
        guard reader.bytes(magic.count).map({ $0.elementsEqual(magic) }) == true else {
            return problem("expected a file that begins with \"CWPLACES\", found another")
        }
        guard
            tail.littleEndian(UInt32.self)
                == crc32c(UnsafeRawBufferPointer(rebasing: bytes[..<end]))
        else { return problem("the checksum does not hold") }
        guard let version = reader.littleEndian(UInt32.self), version == Self.version else {
            return problem("expected version \(Self.version), found another")
        }
        guard reader.littleEndian(Int64.self) == number,
            reader.littleEndian(UInt64.self) == UInt64(count)
        else { return problem("they are another segment's") }
        var offsets: [Int64] = []
        offsets.reserveCapacity(count)
        for _ in 0..<count {
            guard let offset = reader.littleEndian(Int64.self), offset >= 0, offset < .max else {
                return problem("an offset is below 0")
            }
            offsets.append(offset)
        }
        return .success(offsets)
    }
}
