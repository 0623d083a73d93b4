import CordwoodLog
import CordwoodStorage

/// Which blocks a disk tier has, which of their entries are live, and up to where in the log that is true.
/// Layout in `docs/file-formats.md`, "Tier of a cached view".
struct TierManifest: Sendable, Equatable {
    struct Block: Sendable, Equatable {
        var number: UInt64
        var entryCount: Int
        /// A bit for each entry, in whole bytes.
        var live: [UInt8]

        func isLive(_ slot: Int) -> Bool { live[slot / 8] >> (slot % 8) & 1 == 1 }
    }

    static let maximumBytes = 1 << 30
    /// So that the next one never overflows, whatever a file says.
    static let maximumBlockNumber: UInt64 = 1 << 62
    private static let magic: UInt64 = 0x5254_5745_4956_5743  // "CWVIEWTR"
    private static let version: UInt32 = 1
    private static let positionBytes = 17

    var valueVersion: UInt32
    /// Values are those of an origin.
    var isOfOrigin: Bool
    var identity: UInt64
    var nextBlock: UInt64
    var topic: String
    var positions: [LogPosition]
    var blocks: [Block]

    /// nil when it would be larger than ``maximumBytes``.
    func encode() -> MemoryBlock? {
        let name = Array(topic.utf8)
        let size =
            8 + 4 + 4 + 1 + 8 + 8 + 2 + name.count + 4 + positions.count * Self.positionBytes + 4
            + blocks.reduce(0) { $0 + 12 + $1.live.count } + 4
        guard size <= Self.maximumBytes else { return nil }
        var writer = ByteWriter(count: size)
        writer.littleEndian(Self.magic)
        writer.littleEndian(Self.version)
        writer.littleEndian(valueVersion)
        writer.littleEndian(UInt8(isOfOrigin ? 1 : 0))
        writer.littleEndian(identity)
        writer.littleEndian(nextBlock)
        writer.littleEndian(UInt16(name.count))
        writer.bytes(name)
        writer.littleEndian(UInt32(positions.count))
        for position in positions {
            writer.littleEndian(position.offset)
            writer.littleEndian(position.leaderEpoch)
            writer.littleEndian(UInt8(position.checksum == nil ? 0 : 1))
            writer.littleEndian(position.checksum ?? 0)
        }
        writer.littleEndian(UInt32(blocks.count))
        for block in blocks {
            writer.littleEndian(block.number)
            writer.littleEndian(UInt32(block.entryCount))
            writer.bytes(block.live)
        }
        writer.littleEndian(
            crc32c(UnsafeRawBufferPointer(rebasing: writer.block.unsafeBytes[..<writer.position])))
        return writer.finish()
    }

    init(_ file: MemoryBlock) throws(TierBlock.Damage) {
        guard let manifest = withExtendedLifetime(file, { Self.parse(file.unsafeBytes) }) else {
            throw TierBlock.Damage(
                description: "expected a manifest of version 1 whose checksum holds, found another")
        }
        self = manifest
    }

    init(
        valueVersion: UInt32, isOfOrigin: Bool, identity: UInt64, nextBlock: UInt64, topic: String,
        positions: [LogPosition], blocks: [Block]
    ) {
        self.valueVersion = valueVersion
        self.isOfOrigin = isOfOrigin
        self.identity = identity
        self.nextBlock = nextBlock
        self.topic = topic
        self.positions = positions
        self.blocks = blocks
    }

    private static func parse(_ bytes: UnsafeRawBufferPointer) -> TierManifest? {
        guard bytes.count >= 4, bytes.count <= maximumBytes else { return nil }
        let end = bytes.count - 4
        let body = UnsafeRawBufferPointer(rebasing: bytes[..<end])
        var trailer = ByteReader(bytes, at: end)
        guard trailer.littleEndian(UInt32.self) == crc32c(body) else { return nil }
        var reader = ByteReader(body)
        guard reader.littleEndian(UInt64.self) == magic,
            reader.littleEndian(UInt32.self) == version,
            let valueVersion = reader.littleEndian(UInt32.self),
            let source = reader.littleEndian(UInt8.self), source <= 1,
            let identity = reader.littleEndian(UInt64.self),
            let nextBlock = reader.littleEndian(UInt64.self),
            let nameCount = reader.littleEndian(UInt16.self),
            let name = reader.bytes(Int(nameCount)),
            let topic = String(validating: name, as: UTF8.self),
            let count = reader.littleEndian(UInt32.self),
            Int(count) <= reader.remaining / positionBytes
        else { return nil }
        var positions: [LogPosition] = []
        for _ in 0..<count {
            guard let offset = reader.littleEndian(Int64.self), offset >= 0,
                let epoch = reader.littleEndian(Int32.self),
                let isKnown = reader.littleEndian(UInt8.self), isKnown <= 1,
                let checksum = reader.littleEndian(UInt32.self)
            else { return nil }
            positions.append(
                LogPosition(
                    offset: offset, leaderEpoch: epoch, checksum: isKnown == 1 ? checksum : nil))
        }
        guard let blockCount = reader.littleEndian(UInt32.self),
            Int(blockCount) <= reader.remaining / 12
        else { return nil }
        var blocks: [Block] = []
        for _ in 0..<blockCount {
            guard let number = reader.littleEndian(UInt64.self), number < nextBlock,
                // In the order in which they were written, so that none is there twice.
                blocks.last.map({ $0.number < number }) ?? true,
                let entryCount = reader.littleEndian(UInt32.self),
                let live = reader.bytes((Int(entryCount) + 7) / 8)
            else { return nil }
            blocks.append(
                Block(number: number, entryCount: Int(entryCount), live: Array(live)))
        }
        guard reader.remaining == 0 else { return nil }
        return TierManifest(
            valueVersion: valueVersion, isOfOrigin: source == 1, identity: identity,
            nextBlock: nextBlock, topic: topic, positions: positions, blocks: blocks)
    }
}
