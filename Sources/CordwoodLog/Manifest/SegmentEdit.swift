import CordwoodStorage

/// One change to the list of a log's segments, as the manifest keeps it.
enum SegmentEdit: Equatable {
    /// A new segment becomes the active one.
    case add(baseOffset: Int64)
    /// The active segment will never change again: where it ends, and its checksum.
    case seal(baseOffset: Int64, end: SegmentCursor)
    /// A range of a segment is damaged and is not served.
    case quarantine(baseOffset: Int64, Gap)

    private static let addKind: UInt8 = 1
    private static let sealKind: UInt8 = 2
    private static let quarantineKind: UInt8 = 3

    func encode() -> [UInt8] {
        var writer = ByteWriter(count: byteCount)
        switch self {
        case .add(let baseOffset):
            writer.littleEndian(Self.addKind)
            writer.littleEndian(baseOffset)
        case .seal(let baseOffset, let end):
            writer.littleEndian(Self.sealKind)
            writer.littleEndian(baseOffset)
            writer.littleEndian(UInt64(end.position))
            writer.littleEndian(end.nextOffset)
            writer.littleEndian(end.chain.value)
        case .quarantine(let baseOffset, let gap):
            writer.littleEndian(Self.quarantineKind)
            writer.littleEndian(baseOffset)
            writer.littleEndian(UInt64(gap.positions.lowerBound))
            writer.littleEndian(UInt64(gap.positions.upperBound))
            writer.littleEndian(gap.offsets.lowerBound)
            writer.littleEndian(gap.offsets.upperBound)
        }
        return writer.finishArray()
    }

    private var byteCount: Int {
        switch self {
        case .add: 9
        case .seal: 29
        case .quarantine: 41
        }
    }

    /// Parses an edit; nil for one that this version does not know or that does not hold together.
    init?(_ payload: [UInt8]) {
        let parsed = payload.withUnsafeBytes { bytes -> SegmentEdit? in
            var reader = ByteReader(bytes)
            guard let kind = reader.littleEndian(UInt8.self),
                let baseOffset = reader.littleEndian(Int64.self), baseOffset >= 0,
                baseOffset <= SegmentHeader.maximumOffset
            else { return nil }
            let edit: SegmentEdit?
            switch kind {
            case Self.addKind: edit = .add(baseOffset: baseOffset)
            case Self.sealKind: edit = Self.seal(&reader, baseOffset)
            case Self.quarantineKind: edit = Self.quarantine(&reader, baseOffset)
            default: edit = nil
            }
            return reader.remaining == 0 ? edit : nil
        }
        guard let parsed else { return nil }
        self = parsed
    }

    private static func seal(_ reader: inout ByteReader, _ baseOffset: Int64) -> SegmentEdit? {
        guard let position = reader.littleEndian(UInt64.self).flatMap({ Int(exactly: $0) }),
            position >= SegmentHeader.byteCount, position <= SegmentHeader.maximumSegmentBytes,
            let nextOffset = reader.littleEndian(Int64.self), nextOffset >= baseOffset,
            nextOffset <= SegmentHeader.maximumOffset,
            let chain = reader.littleEndian(UInt32.self)
        else { return nil }
        return .seal(
            baseOffset: baseOffset,
            end: SegmentCursor(
                position: position, nextOffset: nextOffset, chain: BatchChain(value: chain)))
    }

    private static func quarantine(
        _ reader: inout ByteReader, _ baseOffset: Int64
    ) -> SegmentEdit? {
        guard let from = reader.littleEndian(UInt64.self).flatMap({ Int(exactly: $0) }),
            let to = reader.littleEndian(UInt64.self).flatMap({ Int(exactly: $0) }),
            from >= SegmentHeader.byteCount, from <= to, to <= SegmentHeader.maximumSegmentBytes,
            let first = reader.littleEndian(Int64.self),
            let next = reader.littleEndian(Int64.self), first >= baseOffset, first <= next,
            next <= SegmentHeader.maximumOffset
        else { return nil }
        return .quarantine(
            baseOffset: baseOffset, Gap(positions: from..<to, offsets: first..<next))
    }
}

/// A damaged range of a segment, between two sound places.
public struct Gap: Sendable, Hashable {
    /// Bytes of the segment file.
    public var positions: Range<Int>
    /// The offsets that cannot be read.
    public var offsets: Range<Int64>
}
