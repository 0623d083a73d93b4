/// A record's fields as places in the records of a batch: what compaction looks at, without a copy.
struct RecordFields {
    /// The whole record, its length included.
    var range: Range<Int>
    var timestampDelta: Int64
    /// The bytes between the timestamp delta and the record's end, beginning with the offset delta.
    var rest: Range<Int>
    var offsetDelta: Int32
    /// Nil for a record without a key.
    var key: Range<Int>?
    var hasValue: Bool
    /// The value, empty where there is none.
    var value: Range<Int>
}

/// Walks over the records of a batch, uncompressed, without copying them.
///
/// Holds every length against the bytes that remain. Headers are not looked into: compaction keeps
/// or drops them with their record. O(1) a record.
struct RecordScanner {
    private let bytes: UnsafeRawBufferPointer
    private(set) var position = 0

    /// `bytes` are the records alone, and must outlive the scanner.
    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    var remaining: Int { bytes.count - position }

    /// The next record; nil where the bytes do not parse, and the scanner is of no more use then.
    mutating func next() -> RecordFields? {
        let start = position
        guard let length = length(), let length, length <= remaining else { return nil }
        let end = position + length
        // The attributes, which Kafka leaves unused.
        guard length > 0 else { return nil }
        position += 1
        guard let timestampDelta = varint(), position < end else { return nil }
        let rest = position..<end
        guard let offsetDelta = varint(),
            let offsetDelta = Int32(exactly: offsetDelta), offsetDelta >= 0,
            let key = field(before: end), let value = field(before: end), position < end
        else { return nil }
        position = end
        return RecordFields(
            range: start..<end, timestampDelta: timestampDelta, rest: rest,
            offsetDelta: offsetDelta, key: key, hasValue: value != nil, value: value ?? end..<end)
    }

    /// A field that may be missing; the outer nil says that it does not parse.
    @inline(__always)
    private mutating func field(before end: Int) -> Range<Int>?? {
        guard let length = length() else { return nil }
        guard let length else { return .some(nil) }
        guard position <= end, length <= end - position else { return nil }
        defer { position += length }
        return position..<position + length
    }

    /// A length, -1 for a missing field; the outer nil says that it does not parse.
    @inline(__always)
    private mutating func length() -> Int?? {
        guard let value = varint() else { return nil }
        if value == -1 { return .some(nil) }
        guard value >= 0, value <= Int64(Int32.max) else { return nil }
        return Int(value)
    }

    /// A zigzag varint of at most ten bytes. Most take one or two.
    @inline(__always)
    private mutating func varint() -> Int64? {
        guard position < bytes.count else { return nil }
        let first = UInt64(bytes[position])
        position += 1
        if first < 0x80 { return Int64(bitPattern: first >> 1) ^ -Int64(bitPattern: first & 1) }
        var value = first & 0x7F
        var shift: UInt64 = 7
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            if shift == 63 && byte > 1 { return nil }
            value |= UInt64(byte & 0x7F) &<< shift
            if byte & 0x80 == 0 {
                return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
            }
            if shift == 63 { return nil }
            shift += 7
        }
        return nil
    }
}
