import CordwoodStorage

/// A sparse map from offsets to places in one segment, in memory: 12 bytes for every
/// `indexIntervalBytes` of log.
///
/// Each entry also holds the chained checksum of everything before it, so that a reader which walks
/// from one entry to the next has verified every byte between them, headers included.
struct OffsetIndex {
    struct Entry: Equatable {
        var relativeOffset: UInt32
        var position: UInt32
        var chain: UInt32
    }

    let baseOffset: Int64
    private(set) var entries: [Entry] = []

    init(baseOffset: Int64) { self.baseOffset = baseOffset }

    /// Appends an entry for a batch that starts at `cursor`. Places must be added in order. One
    /// beyond 2^32 of the segment's start, where only a damaged or foreign file leads, is left out:
    /// the index stays right and is less dense there.
    mutating func append(_ cursor: SegmentCursor) {
        guard let relativeOffset = UInt32(exactly: cursor.nextOffset - baseOffset),
            let position = UInt32(exactly: cursor.position)
        else { return }
        entries.append(
            Entry(relativeOffset: relativeOffset, position: position, chain: cursor.chain.value))
    }

    /// Appends an entry when the last one is `interval` bytes or more behind. O(1).
    mutating func note(_ cursor: SegmentCursor, interval: Int) {
        if let last = entries.last, cursor.position - Int(last.position) < interval { return }
        append(cursor)
    }

    mutating func removeAll(behind position: Int) {
        while let last = entries.last, Int(last.position) > position { entries.removeLast() }
    }

    func cursor(_ entry: Entry) -> SegmentCursor {
        SegmentCursor(
            position: Int(entry.position), nextOffset: baseOffset + Int64(entry.relativeOffset),
            chain: BatchChain(value: entry.chain))
    }

    /// The number of the last entry at or before `offset`; nil when the index is empty or begins
    /// behind it. O(log n).
    func floor(_ offset: Int64) -> Int? {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if baseOffset + Int64(entries[middle].relativeOffset) <= offset {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return low == 0 ? nil : low - 1
    }
}

extension OffsetIndex: SegmentIndex {
    mutating func append(read entry: Entry) -> Bool {
        if let last = entries.last,
            entry.relativeOffset <= last.relativeOffset || entry.position <= last.position
        {
            return false
        }
        guard entry.position >= SegmentHeader.byteCount else { return false }
        entries.append(entry)
        return true
    }

    /// The segment's start.
    static func canBegin(with entry: Entry?, header: SegmentHeader) -> Bool {
        let start = SegmentCursor.start(logID: header.logID, baseOffset: header.baseOffset)
        return entry.map(OffsetIndex(baseOffset: header.baseOffset).cursor) == start
    }

    func lies(before end: SegmentCursor) -> Bool {
        entries.last.map { Int($0.position) < end.position } ?? false
    }

    static func path(_ header: SegmentHeader, in directory: StoragePath) -> StoragePath {
        SegmentFiles.index(header.id, in: directory)
    }
}

extension OffsetIndex.Entry: IndexEntry {
    static var pageMagic: UInt32 { 0x4449_5743 }  // "CWID"
    static var byteCount: Int { 12 }

    func encode(to writer: inout ByteWriter) {
        writer.littleEndian(relativeOffset)
        writer.littleEndian(position)
        writer.littleEndian(chain)
    }

    init?(_ reader: inout ByteReader) {
        guard let relativeOffset = reader.littleEndian(UInt32.self),
            let position = reader.littleEndian(UInt32.self),
            let chain = reader.littleEndian(UInt32.self)
        else { return nil }
        self.init(relativeOffset: relativeOffset, position: position, chain: chain)
    }
}
