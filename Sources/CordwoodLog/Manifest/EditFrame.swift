import CordwoodStorage

/// The bytes of an edit log: a header, then frames of one edit each.
enum EditFrame {
    static let headerByteCount = 32
    static let maximumPayloadBytes = 1 << 20
    static let maximumFileBytes = 256 << 20
    private static let magic: UInt64 = 0x5354_4944_4557_4F43  // "COWEDITS"
    private static let version: UInt32 = 2
    /// Without the place in a group, which reads as 0 there.
    private static let oldestVersion: UInt32 = 1
    /// Payload length and place in the group, sequence number, CRC-32C of both and the payload.
    private static let prefixByteCount = 12
    /// The payload's length has the lower bits of its field.
    private static let lengthBits: UInt32 = 21
    /// A place from here on is written as this one.
    private static let lastPlace = (1 << (32 - lengthBits)) - 1

    static func header(kind: EditLogKind, identity: UInt64) -> MemoryBlock {
        var writer = ByteWriter(count: headerByteCount)
        writer.littleEndian(magic)
        writer.littleEndian(version)
        writer.littleEndian(kind.rawValue)
        writer.littleEndian(identity)
        writer.zeros(headerByteCount - 4 - writer.position)
        writer.littleEndian(
            crc32c(UnsafeRawBufferPointer(rebasing: writer.block.unsafeBytes[..<writer.position])))
        return writer.finish()
    }

    /// Verifies a file's header and returns its identity.
    static func checkHeader(
        _ bytes: UnsafeRawBufferPointer, kind: EditLogKind, path: StoragePath
    ) throws(LogError) -> UInt64 {
        var reader = ByteReader(bytes)
        guard reader.littleEndian(UInt64.self) == magic else {
            throw LogError(
                .unsupportedFormat,
                "\(path): expected a file that begins with \"COWEDITS\", found something else")
        }
        // All versions keep their checksum here, so that damage is not taken for a newer format.
        guard let version = reader.littleEndian(UInt32.self),
            let foundKind = reader.littleEndian(UInt32.self),
            let identity = reader.littleEndian(UInt64.self),
            reader.skip(headerByteCount - 4 - reader.position) != nil,
            let checksum = reader.littleEndian(UInt32.self)
        else { throw LogError(.damaged, "\(path): the header is cut short") }
        guard
            checksum
                == crc32c(UnsafeRawBufferPointer(rebasing: bytes[..<(headerByteCount - 4)]))
        else {
            throw LogError(
                .damaged,
                "\(path): the header fails its checksum; it states format version \(version), "
                    + "expected \(Self.version)")
        }
        guard (oldestVersion...Self.version).contains(version) else {
            throw LogError(
                .unsupportedFormat,
                "\(path): expected format version \(Self.version), found \(version); "
                    + "open it with the version that wrote it")
        }
        guard foundKind == kind.rawValue else {
            throw LogError(
                .inconsistent,
                "\(path): expected a file of kind \(kind.rawValue), found kind \(foundKind)")
        }
        return identity
    }

    /// `place` is the edit's among those that are written with it, and synced once for all.
    static func encode(_ payload: [UInt8], sequence: UInt32, place: Int = 0) -> MemoryBlock {
        precondition(payload.count <= maximumPayloadBytes)
        var writer = ByteWriter(count: prefixByteCount + payload.count)
        let size = UInt32(payload.count) | UInt32(min(place, lastPlace)) << lengthBits
        writer.littleEndian(size)
        writer.littleEndian(sequence)
        writer.littleEndian(
            payload.withUnsafeBytes { checksum(of: $0, size: size, sequence: sequence) })
        writer.bytes(payload)
        return writer.finish()
    }

    /// The edit at `position`; nil unless it is whole, sound and has that sequence number.
    static func decode(
        _ bytes: UnsafeRawBufferPointer, at position: Int, sequence: UInt32
    ) -> (payload: [UInt8], end: Int)? {
        guard let frame = frame(bytes, at: position), frame.sequence == sequence, isSound(frame)
        else { return nil }
        return (Array(frame.payload), position + prefixByteCount + frame.payload.count)
    }

    /// Whether a sound edit lies, or may lie, anywhere from `position` on that was written when
    /// `sequence` was durable: so not one of the same group, whose sectors reach the disk in any
    /// order, but also where bytes were made to look like more edits than can be looked at. O(bytes).
    static func mayHaveLaterGroup(
        _ bytes: UnsafeRawBufferPointer, behind position: Int, sequence: UInt32
    ) -> Bool {
        var budget = SearchBudget(for: bytes.count)
        var position = position
        while let found = next(bytes, behind: position, sequence: sequence, within: &budget) {
            if found.groupStart > sequence { return true }
            position = found.position + 1
        }
        return budget.isSpent
    }

    /// The first sound edit of `sequence` or later from `position` on, as far as the budget goes.
    static func next(
        _ bytes: UnsafeRawBufferPointer, behind position: Int, sequence: UInt32,
        within budget: inout SearchBudget
    ) -> (position: Int, sequence: UInt32, groupStart: UInt32)? {
        guard bytes.count - position > prefixByteCount else { return nil }
        for place in position..<(bytes.count - prefixByteCount) {
            guard let frame = frame(bytes, at: place), frame.sequence >= sequence else { continue }
            guard budget.spend(frame.payload.count) else { return nil }
            if isSound(frame) { return (place, frame.sequence, frame.groupStart) }
        }
        return nil
    }

    /// An edit as its first bytes describe it.
    private struct Frame {
        var payload: UnsafeRawBufferPointer
        var size: UInt32
        var sequence: UInt32
        var checksum: UInt32

        /// The number of the first edit that was written with it; the least that it may be, where
        /// its place does not say.
        var groupStart: UInt32 {
            let place = size >> lengthBits
            return place > sequence || place == UInt32(lastPlace) ? 0 : sequence - place
        }
    }

    private static func frame(_ bytes: UnsafeRawBufferPointer, at position: Int) -> Frame? {
        var reader = ByteReader(bytes, at: position)
        guard let size = reader.littleEndian(UInt32.self) else { return nil }
        let count = size & (1 << lengthBits - 1)
        guard count > 0, count <= maximumPayloadBytes,
            let sequence = reader.littleEndian(UInt32.self),
            let checksum = reader.littleEndian(UInt32.self),
            let payload = reader.bytes(Int(count))
        else { return nil }
        return Frame(payload: payload, size: size, sequence: sequence, checksum: checksum)
    }

    private static func isSound(_ frame: Frame) -> Bool {
        frame.checksum
            == checksum(of: frame.payload, size: frame.size, sequence: frame.sequence)
    }

    private static func checksum(
        of payload: UnsafeRawBufferPointer, size: UInt32, sequence: UInt32
    ) -> UInt32 {
        let prefix = (size.littleEndian, sequence.littleEndian)
        return crc32c(payload, seed: withUnsafeBytes(of: prefix) { crc32c($0) })
    }
}
