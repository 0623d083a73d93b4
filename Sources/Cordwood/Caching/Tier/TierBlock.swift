import CordwoodCache
import CordwoodLog
import CordwoodStorage

/// The bytes of a block of a cached view's disk tier. Layout in `docs/file-formats.md`, "Tier of a cached
/// view".
enum TierBlock {
    static let minimumBytes = 4 << 10
    static let maximumBytes = 1 << 30
    /// A block that is nearly full takes another entry.
    static let maximumEntryBytes = maximumBytes / 2
    static let headerBytes = 40
    static let entryHeaderBytes = 24
    static let indexEntryBytes = 16
    private static let magic: UInt64 = 0x4C42_5745_4956_5743  // "CWVIEWBL"
    private static let version: UInt32 = 1

    struct Entry: Sendable, Equatable {
        var key: [UInt8]
        var value: [UInt8]
        var partition: UInt32
        /// The value was true up to here when it was taken in.
        var offset: Int64

        /// What it takes in a block, with its place in the index.
        var byteCount: Int {
            TierBlock.entryHeaderBytes + key.count + value.count + TierBlock.indexEntryBytes
        }
    }

    /// Where an entry is, and whose.
    struct Place: Sendable, Equatable {
        var hash: UInt64
        var position: UInt32
        var partition: UInt32
    }

    struct Header: Sendable, Equatable {
        var identity: UInt64
        var number: UInt64
        var entryCount: Int
        var indexPosition: Int

        /// The whole file.
        var byteCount: Int { indexPosition + entryCount * TierBlock.indexEntryBytes + 4 }
    }

    /// Why bytes are no block, or no entry, that can be used: what was expected and found.
    struct Damage: Error, Equatable, CustomStringConvertible {
        var description: String
    }

    // MARK: Writing

    /// The entries' bytes must not exceed ``maximumBytes``.
    static func encode(
        _ entries: [Entry], identity: UInt64, number: UInt64
    ) -> (bytes: MemoryBlock, places: [Place]) {
        let size = headerBytes + entries.reduce(0) { $0 + $1.byteCount } + 4
        precondition(size <= maximumBytes + headerBytes + 4)
        let indexPosition = size - 4 - entries.count * indexEntryBytes
        var writer = ByteWriter(count: size)
        writer.littleEndian(magic)
        writer.littleEndian(version)
        writer.littleEndian(UInt32(entries.count))
        writer.littleEndian(identity)
        writer.littleEndian(number)
        writer.littleEndian(UInt32(indexPosition))
        writer.littleEndian(checksum(writer.block, 0..<writer.position))
        var places: [Place] = []
        for entry in entries {
            places.append(
                Place(
                    hash: StableHash.hash(entry.key), position: UInt32(writer.position),
                    partition: entry.partition))
            write(entry, to: &writer)
        }
        let index = writer.position
        for place in places {
            writer.littleEndian(place.hash)
            writer.littleEndian(place.position)
            writer.littleEndian(place.partition)
        }
        writer.littleEndian(checksum(writer.block, index..<writer.position))
        return (writer.finish(), places)
    }

    private static func write(_ entry: Entry, to writer: inout ByteWriter) {
        var head = ByteWriter(count: entryHeaderBytes - 4)
        head.littleEndian(entry.partition)
        head.littleEndian(entry.offset)
        head.littleEndian(UInt32(entry.key.count))
        head.littleEndian(UInt32(entry.value.count))
        let fields = head.finishArray()
        var checksum = fields.withUnsafeBytes { crc32c($0) }
        checksum = entry.key.withUnsafeBytes { crc32c($0, seed: checksum) }
        checksum = entry.value.withUnsafeBytes { crc32c($0, seed: checksum) }
        writer.littleEndian(checksum)
        writer.bytes(fields)
        writer.bytes(entry.key)
        writer.bytes(entry.value)
    }

    // MARK: Reading

    /// From the first ``headerBytes`` of a file of that size.
    static func header(_ block: MemoryBlock, fileBytes: Int) throws(Damage) -> Header {
        let header = withExtendedLifetime(block) { () -> Header? in
            var reader = ByteReader(block.unsafeBytes)
            guard block.count >= headerBytes, reader.littleEndian(UInt64.self) == magic,
                reader.littleEndian(UInt32.self) == version,
                let count = reader.littleEndian(UInt32.self),
                let identity = reader.littleEndian(UInt64.self),
                let number = reader.littleEndian(UInt64.self),
                let index = reader.littleEndian(UInt32.self),
                reader.littleEndian(UInt32.self) == checksum(block, 0..<headerBytes - 4)
            else { return nil }
            return Header(
                identity: identity, number: number, entryCount: Int(count),
                indexPosition: Int(index))
        }
        guard let header else {
            throw Damage(description: "expected the header of a block of version 1, found another")
        }
        guard header.indexPosition >= headerBytes,
            header.entryCount <= (header.indexPosition - headerBytes) / entryHeaderBytes,
            header.byteCount == fileBytes
        else {
            throw Damage(
                description: "expected \(header.byteCount) bytes, found \(fileBytes)")
        }
        return header
    }

    /// From everything behind the entries.
    static func places(_ block: MemoryBlock, of header: Header) throws(Damage) -> [Place] {
        let end = header.entryCount * indexEntryBytes
        guard block.count == end + 4 else {
            throw Damage(description: "expected an index of \(end + 4) bytes, found \(block.count)")
        }
        return try withExtendedLifetime(block) { () throws(Damage) in
            var trailer = ByteReader(block.unsafeBytes, at: end)
            guard trailer.littleEndian(UInt32.self) == checksum(block, 0..<end) else {
                throw Damage(description: "the checksum of the index does not hold")
            }
            var reader = ByteReader(block.unsafeBytes)
            var places: [Place] = []
            places.reserveCapacity(header.entryCount)
            var least = headerBytes
            for _ in 0..<header.entryCount {
                guard let hash = reader.littleEndian(UInt64.self),
                    let position = reader.littleEndian(UInt32.self),
                    let partition = reader.littleEndian(UInt32.self),
                    Int(position) == least || !places.isEmpty && Int(position) >= least,
                    Int(position) + entryHeaderBytes <= header.indexPosition
                else { throw Damage(description: "the index names a place that cannot be") }
                places.append(Place(hash: hash, position: position, partition: partition))
                least = Int(position) + entryHeaderBytes
            }
            return places
        }
    }

    /// From all bytes of one entry.
    static func entry(_ block: MemoryBlock) throws(Damage) -> Entry {
        let entry = withExtendedLifetime(block) { () -> Entry? in
            var reader = ByteReader(block.unsafeBytes)
            guard let expected = reader.littleEndian(UInt32.self),
                expected == checksum(block, 4..<block.count),
                let partition = reader.littleEndian(UInt32.self),
                let offset = reader.littleEndian(Int64.self),
                let keyCount = reader.littleEndian(UInt32.self),
                let valueCount = reader.littleEndian(UInt32.self),
                let key = reader.bytes(Int(keyCount)), let value = reader.bytes(Int(valueCount)),
                reader.remaining == 0
            else { return nil }
            return Entry(
                key: Array(key), value: Array(value), partition: partition, offset: offset)
        }
        guard let entry else {
            throw Damage(description: "the checksum of an entry does not hold")
        }
        return entry
    }

    private static func checksum(_ block: MemoryBlock, _ range: Range<Int>) -> UInt32 {
        crc32c(UnsafeRawBufferPointer(rebasing: block.unsafeBytes[range]))
    }
}
