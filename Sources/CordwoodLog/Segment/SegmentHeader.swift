import CordwoodStorage

/// The first page of a segment file: what the file is, and how much of it is durable.
///
/// Layout in `docs/file-formats.md`, "Segment". The page is 4,096 bytes; its identity is written
/// once, its two watermark slots alternate. A slot shares no 512-byte sector with anything else, so
/// a write that is torn by a power cut spoils at most the slot being written.
struct SegmentHeader {
    static let byteCount = 4096
    static let version: UInt32 = 1
    /// Positions in a segment are kept in 32 bits; a larger one is damage.
    static let maximumSegmentBytes = Int(Int32.max)
    /// No offset reaches this; a larger one is damage, and sums of two offsets cannot overflow.
    static let maximumOffset: Int64 = 1 << 62
    private static let magic: UInt64 = 0x544E_4D47_4553_5743  // "CWSEGMNT"
    private static let identityByteCount = 64

    /// The random number that all segments of one log share.
    var logID: UInt64
    var baseOffset: Int64
    var generation: UInt32 = 0

    var id: SegmentID { SegmentID(baseOffset: baseOffset, generation: generation) }

    /// The page of a new segment, with empty slots.
    func encode() -> MemoryBlock {
        var writer = ByteWriter(count: Self.byteCount)
        writer.littleEndian(Self.magic)
        writer.littleEndian(Self.version)
        writer.littleEndian(UInt32(Self.byteCount))
        writer.littleEndian(logID)
        writer.littleEndian(baseOffset)
        writer.littleEndian(generation)
        writer.zeros(Self.identityByteCount - 4 - writer.position)
        writer.littleEndian(
            crc32c(UnsafeRawBufferPointer(rebasing: writer.block.unsafeBytes[..<writer.position])))
        writer.zeros(Self.byteCount - writer.position)
        return writer.finish()
    }

    /// What a file says of itself, where its checksum holds, whatever its version.
    static func identity(
        _ bytes: UnsafeRawBufferPointer
    ) -> (version: UInt32, logID: UInt64, baseOffset: Int64)? {
        var reader = ByteReader(bytes)
        guard reader.littleEndian(UInt64.self) == magic,
            let version = reader.littleEndian(UInt32.self),
            reader.littleEndian(UInt32.self) != nil,
            let logID = reader.littleEndian(UInt64.self),
            let baseOffset = reader.littleEndian(Int64.self),
            reader.skip(identityByteCount - 4 - reader.position) != nil,
            let checksum = reader.littleEndian(UInt32.self),
            checksum
                == crc32c(UnsafeRawBufferPointer(rebasing: bytes[..<(identityByteCount - 4)]))
        else { return nil }
        return (version, logID, baseOffset)
    }

    /// Reads and verifies the identity of a segment, and refuses one that is not `expected`'s: a
    /// file that was swapped, copied from another log, or written by a newer version.
    static func check(
        _ bytes: UnsafeRawBufferPointer, expected: SegmentHeader, path: StoragePath
    ) throws(LogError) {
        var reader = ByteReader(bytes)
        guard let magic = reader.littleEndian(UInt64.self), magic == Self.magic else {
            throw LogError(
                .damaged, "\(path): expected a segment, found a file without its mark")
        }
        // All versions keep their checksum here, so that damage is not taken for a newer format.
        guard let version = reader.littleEndian(UInt32.self),
            let headerBytes = reader.littleEndian(UInt32.self),
            let logID = reader.littleEndian(UInt64.self),
            let baseOffset = reader.littleEndian(Int64.self),
            let generation = reader.littleEndian(UInt32.self),
            reader.skip(Self.identityByteCount - 4 - reader.position) != nil,
            let checksum = reader.littleEndian(UInt32.self),
            checksum
                == crc32c(UnsafeRawBufferPointer(rebasing: bytes[..<(Self.identityByteCount - 4)]))
        else {
            throw LogError(.damaged, "\(path): the segment's header fails its checksum")
        }
        guard version == Self.version, headerBytes == UInt32(Self.byteCount) else {
            throw LogError(
                .unsupportedFormat,
                "\(path): expected segment format \(Self.version), found \(version)")
        }
        guard logID == expected.logID, baseOffset == expected.baseOffset,
            generation == expected.generation
        else {
            throw LogError(
                .inconsistent,
                "\(path): expected the segment \(expected.id) of log \(expected.logID), "
                    + "found \(SegmentID(baseOffset: baseOffset, generation: generation)) of log "
                    + "\(logID)")
        }
    }
}
