import CordwoodLog
import CordwoodStorage

/// A fold's state at some offsets, as a file keeps it. Layout in `docs/file-formats.md`, "Snapshot
/// of a fold".
struct FoldSnapshot: Equatable {
    /// How far a fold has come in a partition; version 1 has no checksums.
    typealias Position = LogPosition

    static let maximumBytes = 1 << 30
    private static let magic: UInt64 = 0x4E53_5745_4956_5743  // "CWVIEWSN"
    private static let version: UInt32 = 2
    /// What a position takes, by version.
    private static let positionBytes: [UInt32: Int] = [1: 12, version: newPositionBytes]
    private static let newPositionBytes = 17

    /// The caller's number for what the state is made of.
    var stateVersion: UInt32
    var topic: String
    var positions: [Position]
    var state: [UInt8]

    /// nil when it would be larger than ``maximumBytes``.
    func encode() -> MemoryBlock? {
        let name = Array(topic.utf8)
        let fixed = 8 + 4 + 4 + 2 + name.count + 4 + positions.count * Self.newPositionBytes + 8 + 4
        let (count, overflow) = state.count.addingReportingOverflow(fixed)
        guard !overflow, count <= Self.maximumBytes else { return nil }
        var writer = ByteWriter(count: count)
        writer.littleEndian(Self.magic)
        writer.littleEndian(Self.version)
        writer.littleEndian(stateVersion)
        writer.littleEndian(UInt16(name.count))
        writer.bytes(name)
        writer.littleEndian(UInt32(positions.count))
        for position in positions {
            writer.littleEndian(position.offset)
            writer.littleEndian(position.leaderEpoch)
            writer.littleEndian(UInt8(position.checksum == nil ? 0 : 1))
            writer.littleEndian(position.checksum ?? 0)
        }
        writer.littleEndian(UInt64(state.count))
        writer.bytes(state)
        writer.littleEndian(
            crc32c(UnsafeRawBufferPointer(rebasing: writer.block.unsafeBytes[..<writer.position])))
        return writer.finish()
    }

    /// Why a file is no snapshot that can be used.
    struct Unusable: Error, Equatable {
        var reason: String
    }

    init(_ block: MemoryBlock) throws(Unusable) {
        let parsed = withExtendedLifetime(block) { Self.parse(block.unsafeBytes) }
        self = try parsed.get()
    }

    init(stateVersion: UInt32, topic: String, positions: [Position], state: [UInt8]) {
        self.stateVersion = stateVersion
        self.topic = topic
        self.positions = positions
        self.state = state
    }

    private static func parse(_ bytes: UnsafeRawBufferPointer) -> Result<FoldSnapshot, Unusable> {
        func unusable(_ reason: String) -> Result<FoldSnapshot, Unusable> {
            .failure(Unusable(reason: reason))
        }
        guard bytes.count >= 16, bytes.count <= maximumBytes else {
            return unusable("expected 16 to \(maximumBytes) bytes, found \(bytes.count)")
        }
        var reader = ByteReader(bytes)
        let end = bytes.count - 4
        var trailer = ByteReader(bytes, at: end)
        guard reader.littleEndian(UInt64.self) == magic else {
            return unusable("expected a file that begins with \"CWVIEWSN\", found something else")
        }
        guard
            trailer.littleEndian(UInt32.self)
                == crc32c(UnsafeRawBufferPointer(rebasing: bytes[..<end]))
        else { return unusable("the checksum does not hold") }
        guard let version = reader.littleEndian(UInt32.self),
            let positionBytes = positionBytes[version]
        else { return unusable("expected format version \(Self.version) or 1, found another") }
        guard let stateVersion = reader.littleEndian(UInt32.self),
            let nameCount = reader.littleEndian(UInt16.self),
            let name = reader.bytes(Int(nameCount)),
            let topic = String(validating: name, as: UTF8.self),
            let count = reader.littleEndian(UInt32.self),
            Int(count) <= reader.remaining / positionBytes
        else { return unusable("the header does not parse") }
        var positions: [Position] = []
        for _ in 0..<count {
            guard let offset = reader.littleEndian(Int64.self), offset >= 0,
                let epoch = reader.littleEndian(Int32.self)
            else { return unusable("a position does not parse") }
            var position = Position(offset: offset, leaderEpoch: epoch)
            if version > 1 {
                guard let isKnown = reader.littleEndian(UInt8.self), isKnown <= 1,
                    let checksum = reader.littleEndian(UInt32.self)
                else { return unusable("a position does not parse") }
                if isKnown == 1 { position.checksum = checksum }
            }
            positions.append(position)
        }
        guard let stateCount = reader.littleEndian(UInt64.self),
            let stateBytes = Int(exactly: stateCount).flatMap({ reader.bytes($0) }),
            reader.remaining == 4
        else { return unusable("the state does not fill the file") }
        return .success(
            FoldSnapshot(
                stateVersion: stateVersion, topic: topic, positions: positions,
                state: Array(stateBytes)))
    }
}
