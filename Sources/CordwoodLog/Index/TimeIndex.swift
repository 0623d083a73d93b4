import CordwoodStorage

/// A sparse map from timestamps to offsets in one segment, in memory: 12 bytes for every
/// `indexIntervalBytes` of log.
///
/// Entry *i* belongs to entry *i* of the segment's ``OffsetIndex``, names the same offset, and holds
/// the largest timestamp of all batches before it. So the timestamps never decrease, whatever order
/// producers chose, and the first batch with a timestamp of *t* or later lies between the last entry
/// below *t* and the one behind it.
struct TimeIndex {
    struct Entry: Equatable {
        /// Milliseconds; -1 where no batch before has a time.
        var timestamp: Int64
        var relativeOffset: UInt32
    }

    let baseOffset: Int64
    private(set) var entries: [Entry] = []
    /// The largest timestamp of all batches taken in so far.
    private(set) var maxTimestamp: Int64 = -1

    /// The memory that it takes.
    var byteCount: Int { entries.capacity * MemoryLayout<Entry>.stride }

    init(baseOffset: Int64) { self.baseOffset = baseOffset }

    /// The index of a segment without batches.
    init(following offsets: OffsetIndex) {
        self.init(baseOffset: offsets.baseOffset)
        follow(offsets)
    }

    /// Takes in the next batch, after its place was noted in `offsets`. O(1).
    mutating func absorb(maxTimestamp timestamp: Int64, following offsets: OffsetIndex) {
        follow(offsets)
        maxTimestamp = max(maxTimestamp, timestamp)
    }

    /// Adds the entries that `offsets` has and this index does not: places behind all batches that
    /// were taken in.
    mutating func follow(_ offsets: OffsetIndex) {
        for entry in offsets.entries.dropFirst(entries.count) {
            entries.append(Entry(timestamp: maxTimestamp, relativeOffset: entry.relativeOffset))
        }
    }

    /// Keeps the first `count` entries at most, and of them those that agree with `offsets`. Batches
    /// behind the last one that is kept must be taken in again.
    mutating func keep(_ count: Int, of offsets: OffsetIndex) {
        let pairs = zip(entries, offsets.entries).prefix(max(0, count))
        let agreeing = pairs.prefix { $0.relativeOffset == $1.relativeOffset }.count
        entries.removeLast(entries.count - agreeing)
        maxTimestamp = entries.last?.timestamp ?? -1
    }

    /// The offset to begin at in search of the first batch with this timestamp or a later one: no
    /// batch before it has one. O(log n).
    func floor(_ timestamp: Int64) -> Int64 {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].timestamp < timestamp { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? baseOffset : offset(of: entries[low - 1])
    }

    /// The last entry at or before `offset`: its place, and the largest timestamp before that.
    /// O(log n).
    func entry(before offset: Int64) -> (offset: Int64, maxTimestamp: Int64)? {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if self.offset(of: entries[middle]) <= offset {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return low == 0 ? nil : (self.offset(of: entries[low - 1]), entries[low - 1].timestamp)
    }

    func offset(of entry: Entry) -> Int64 { baseOffset + Int64(entry.relativeOffset) }
}

extension TimeIndex: SegmentIndex {
    mutating func append(read entry: Entry) -> Bool {
        if let last = entries.last,
            entry.relativeOffset <= last.relativeOffset || entry.timestamp < last.timestamp
        {
            return false
        }
        guard entry.timestamp >= -1 else { return false }
        entries.append(entry)
        maxTimestamp = entry.timestamp
        return true
    }

    /// The segment's start, with no batch before it.
    static func canBegin(with entry: Entry?, header: SegmentHeader) -> Bool {
        entry == Entry(timestamp: -1, relativeOffset: 0)
    }

    func lies(before end: SegmentCursor) -> Bool {
        entries.last.map { offset(of: $0) < end.nextOffset } ?? false
    }

    static func path(_ header: SegmentHeader, in directory: StoragePath) -> StoragePath {
        SegmentFiles.timeIndex(header.id, in: directory)
    }
}

extension TimeIndex.Entry: IndexEntry {
    static var pageMagic: UInt32 { 0x4954_5743 }  // "CWTI"
    static var byteCount: Int { 12 }

    func encode(to writer: inout ByteWriter) {
        writer.littleEndian(timestamp)
        writer.littleEndian(relativeOffset)
    }

    init?(_ reader: inout ByteReader) {
        guard let timestamp = reader.littleEndian(Int64.self),
            let relativeOffset = reader.littleEndian(UInt32.self)
        else { return nil }
        self.init(timestamp: timestamp, relativeOffset: relativeOffset)
    }
}

extension TimeIndex {
    /// Takes in the batches of a segment from the last entry on, up to `end`, and adds the entries
    /// that `offsets` has behind it.
    ///
    /// Only sound batches count. Damage ends an interval, as for the offset index, which has an
    /// entry where batches begin again. `bytes` are the whole file, of which nothing behind `end` is
    /// touched: it may have been cut off since it was mapped. O(bytes behind the last entry).
    mutating func extend(
        through bytes: UnsafeRawBufferPointer, along offsets: OffsetIndex, to end: SegmentCursor,
        rules: BatchRules
    ) {
        keep(entries.count, of: offsets)
        let bytes = UnsafeRawBufferPointer(rebasing: bytes.prefix(max(0, end.position)))
        // Without an entry for the start nothing says where to begin.
        let first = max(0, entries.count - 1)
        for number in offsets.entries.indices.dropFirst(first) {
            var cursor = offsets.cursor(offsets.entries[number])
            let next = number + 1
            let stop =
                next < offsets.entries.count ? Int(offsets.entries[next].position) : end.position
            if number >= entries.count {
                entries.append(
                    Entry(
                        timestamp: maxTimestamp,
                        relativeOffset: offsets.entries[number].relativeOffset))
            }
            while cursor.position < min(stop, bytes.count) {
                let rest = UnsafeRawBufferPointer(rebasing: bytes[cursor.position...])
                guard let header = try? cursor.next(in: rest, rules: rules) else { break }
                maxTimestamp = max(maxTimestamp, header.maxTimestamp)
            }
        }
    }
}
