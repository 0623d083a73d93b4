import CordwoodStorage

/// One change to what a log consists of, as the manifest keeps it.
enum SegmentEdit: Equatable {
    /// A new segment becomes the active one.
    case add(SegmentID, createdAt: Int64)
    /// The active segment will never change again. Damage is named apart.
    case seal(SegmentInfo)
    /// A range of a segment is damaged and is not served.
    case quarantine(SegmentID, Gap)
    /// Nothing before this offset can be read any more.
    case startOffset(Int64)
    /// A file of this name is about to be written; it is garbage until a replacement names it.
    case stage(SegmentID)
    /// Adjacent sealed segments give way to those that compaction wrote from them, and everything
    /// before `cleanedUpTo` has been compacted.
    case replace(removing: [SegmentID], with: [SegmentInfo], cleanedUpTo: Int64)
    /// The oldest segments are given up.
    case remove([SegmentID])
    /// What was written at `offset` and later is given up; the segment that holds it, if any, now
    /// ends there, sealed. A new active segment is added next.
    case truncate(to: Int64, keeping: SegmentInfo?)
    /// A leader epoch begins.
    case epoch(Int32, startOffset: Int64)
    /// The first batch with a producer id lies at this offset or behind it.
    case producers(since: Int64)
}

extension SegmentEdit {
    /// An edit has room for a few more.
    static let maximumRemovals = 50_000

    /// Gives up the oldest segments, in as few edits as hold them: any prefix of these is a state
    /// that the log can be in.
    static func removals(of ids: [SegmentID]) -> [SegmentEdit] {
        stride(from: 0, to: ids.count, by: maximumRemovals).map {
            .remove(Array(ids[$0..<min($0 + maximumRemovals, ids.count)]))
        }
    }
}

/// The layouts of edits, "Edits of a manifest" in `docs/file-formats.md`.
extension SegmentEdit {
    /// As versions before this one wrote them: segments by their base offset alone.
    private static let oldAddKind: UInt8 = 1
    private static let oldSealKind: UInt8 = 2
    private static let oldQuarantineKind: UInt8 = 3
    private static let addKind: UInt8 = 4
    private static let sealKind: UInt8 = 5
    private static let quarantineKind: UInt8 = 6
    private static let startOffsetKind: UInt8 = 7
    private static let stageKind: UInt8 = 8
    private static let replaceKind: UInt8 = 9
    private static let removeKind: UInt8 = 10
    private static let truncateKind: UInt8 = 11
    private static let epochKind: UInt8 = 12
    private static let producersKind: UInt8 = 13

    func encode() -> [UInt8] {
        var bytes = EditBytes()
        switch self {
        case .add(let id, let createdAt):
            bytes.append(Self.addKind)
            bytes.append(id)
            bytes.append(createdAt)
        case .seal(let info):
            bytes.append(Self.sealKind)
            bytes.append(info)
        case .quarantine(let id, let gap):
            bytes.append(Self.quarantineKind)
            bytes.append(id)
            bytes.append(UInt64(gap.positions.lowerBound))
            bytes.append(UInt64(gap.positions.upperBound))
            bytes.append(gap.offsets.lowerBound)
            bytes.append(gap.offsets.upperBound)
        case .startOffset(let offset):
            bytes.append(Self.startOffsetKind)
            bytes.append(offset)
        case .stage(let id):
            bytes.append(Self.stageKind)
            bytes.append(id)
        case .replace(let removed, let added, let cleanedUpTo):
            bytes.append(Self.replaceKind)
            bytes.append(cleanedUpTo)
            bytes.append(removed)
            bytes.append(UInt32(added.count))
            for info in added { bytes.append(info) }
        case .remove(let ids):
            bytes.append(Self.removeKind)
            bytes.append(ids)
        case .truncate(let offset, let kept):
            bytes.append(Self.truncateKind)
            bytes.append(offset)
            bytes.append(UInt32(kept == nil ? 0 : 1))
            if let kept { bytes.append(kept) }
        case .epoch(let epoch, let startOffset):
            bytes.append(Self.epochKind)
            bytes.append(UInt32(bitPattern: epoch))
            bytes.append(startOffset)
        case .producers(let offset):
            bytes.append(Self.producersKind)
            bytes.append(offset)
        }
        return bytes.bytes
    }

    /// Parses an edit; nil for one that this version does not know or that does not hold together.
    init?(_ payload: [UInt8]) {
        let parsed = payload.withUnsafeBytes { bytes -> SegmentEdit? in
            var reader = ByteReader(bytes)
            guard let kind = reader.littleEndian(UInt8.self),
                let edit = Self.parse(kind, &reader), reader.remaining == 0
            else { return nil }
            return edit
        }
        guard let parsed else { return nil }
        self = parsed
    }

    private static func parse(_ kind: UInt8, _ reader: inout ByteReader) -> SegmentEdit? {
        switch kind {
        case oldAddKind:
            return reader.offset().map { .add(SegmentID(baseOffset: $0), createdAt: 0) }
        case addKind:
            guard let id = reader.segmentID(), let createdAt = reader.littleEndian(Int64.self)
            else { return nil }
            return .add(id, createdAt: createdAt)
        case oldSealKind:
            guard let base = reader.offset(), let end = reader.end(of: base) else { return nil }
            return .seal(SegmentInfo(id: SegmentID(baseOffset: base), end: end))
        case sealKind: return reader.segmentInfo().map { .seal($0) }
        case oldQuarantineKind:
            guard let base = reader.offset(), let gap = reader.gap(of: base) else { return nil }
            return .quarantine(SegmentID(baseOffset: base), gap)
        case quarantineKind:
            guard let id = reader.segmentID(), let gap = reader.gap(of: id.baseOffset) else {
                return nil
            }
            return .quarantine(id, gap)
        case startOffsetKind: return reader.offset().map { .startOffset($0) }
        case stageKind: return reader.segmentID().map { .stage($0) }
        case replaceKind:
            guard let cleanedUpTo = reader.offset(), let removed = reader.segmentIDs(),
                let added = reader.segmentInfos()
            else { return nil }
            return .replace(removing: removed, with: added, cleanedUpTo: cleanedUpTo)
        case removeKind: return reader.segmentIDs().map { .remove($0) }
        case truncateKind:
            guard let offset = reader.offset(), let kept = reader.segmentInfos(), kept.count <= 1
            else { return nil }
            return .truncate(to: offset, keeping: kept.first)
        case epochKind:
            guard let epoch = reader.littleEndian(UInt32.self).map(Int32.init(bitPattern:)),
                epoch >= 0, let offset = reader.offset()
            else { return nil }
            return .epoch(epoch, startOffset: offset)
        case producersKind: return reader.offset().map { .producers(since: $0) }
        default: return nil
        }
    }
}

/// The bytes of an edit as they grow.
private struct EditBytes {
    var bytes: [UInt8] = []

    mutating func append<T: FixedWidthInteger>(_ value: T) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func append(_ id: SegmentID) {
        append(id.baseOffset)
        append(id.generation)
    }

    mutating func append(_ ids: [SegmentID]) {
        append(UInt32(ids.count))
        for id in ids { append(id) }
    }

    mutating func append(_ info: SegmentInfo) {
        append(info.id)
        append(UInt64(info.end.position))
        append(info.end.nextOffset)
        append(info.end.chain.value)
        append(info.times.maxTimestamp)
        append(info.times.maxTimestampOffset)
        append(info.times.lastAppendTime)
        append(UInt8(info.isCompacted ? 1 : 0))
    }
}

extension ByteReader {
    fileprivate mutating func offset() -> Int64? {
        guard let offset = littleEndian(Int64.self), offset >= 0,
            offset <= SegmentHeader.maximumOffset
        else { return nil }
        return offset
    }

    fileprivate mutating func segmentID() -> SegmentID? {
        guard let base = offset(), let generation = littleEndian(UInt32.self) else { return nil }
        return SegmentID(baseOffset: base, generation: generation)
    }

    fileprivate mutating func segmentIDs() -> [SegmentID]? {
        guard let count = littleEndian(UInt32.self), Int(count) <= remaining / 12 else {
            return nil
        }
        var ids: [SegmentID] = []
        for _ in 0..<count {
            guard let id = segmentID() else { return nil }
            ids.append(id)
        }
        return ids
    }

    fileprivate mutating func end(of baseOffset: Int64) -> SegmentCursor? {
        guard let position = littleEndian(UInt64.self).flatMap({ Int(exactly: $0) }),
            position >= SegmentHeader.byteCount, position <= SegmentHeader.maximumSegmentBytes,
            let nextOffset = offset(), nextOffset >= baseOffset,
            let chain = littleEndian(UInt32.self)
        else { return nil }
        return SegmentCursor(
            position: position, nextOffset: nextOffset, chain: BatchChain(value: chain))
    }

    fileprivate mutating func segmentInfo() -> SegmentInfo? {
        guard let id = segmentID(), let end = end(of: id.baseOffset),
            let maxTimestamp = littleEndian(Int64.self),
            let maxTimestampOffset = littleEndian(Int64.self),
            let lastAppendTime = littleEndian(Int64.self),
            let flags = littleEndian(UInt8.self), flags <= 1
        else { return nil }
        return SegmentInfo(
            id: id, end: end,
            times: SegmentTimes(
                maxTimestamp: maxTimestamp, maxTimestampOffset: maxTimestampOffset,
                lastAppendTime: lastAppendTime),
            isCompacted: flags == 1)
    }

    fileprivate mutating func segmentInfos() -> [SegmentInfo]? {
        guard let count = littleEndian(UInt32.self), Int(count) <= remaining / 57 else {
            return nil
        }
        var infos: [SegmentInfo] = []
        for _ in 0..<count {
            guard let info = segmentInfo() else { return nil }
            infos.append(info)
        }
        return infos
    }

    fileprivate mutating func gap(of baseOffset: Int64) -> Gap? {
        guard let from = littleEndian(UInt64.self).flatMap({ Int(exactly: $0) }),
            let to = littleEndian(UInt64.self).flatMap({ Int(exactly: $0) }),
            from >= SegmentHeader.byteCount, from <= to, to <= SegmentHeader.maximumSegmentBytes,
            let first = offset(), let next = offset(), first >= baseOffset, first <= next
        else { return nil }
        return Gap(positions: from..<to, offsets: first..<next)
    }
}

/// A damaged range of a segment, between two sound places.
public struct Gap: Sendable, Hashable {
    /// Bytes of the segment file.
    public var positions: Range<Int>
    /// The offsets that cannot be read.
    public var offsets: Range<Int64>
}
