import CordwoodStorage

/// Takes the records of a batch apart, one after the other, where they lie.
///
/// The bytes are hostile: every length is held against what remains, and nothing is allocated.
/// Borrows the bytes, which must outlive it and what it returns.
struct RecordParser {
    /// What the smallest record takes: seven fields of one byte.
    static let minimumRecordBytes = 7

    private let header: BatchHeader
    private let records: UnsafeRawBufferPointer
    private var reader: ByteReader
    private var lastOffsetDelta: Int32

    /// A place between two records.
    struct Place {
        fileprivate var position = 0
        fileprivate var lastOffsetDelta: Int32 = -1
    }

    /// Parses the uncompressed records of the batch that `header` heads, from a place on that a
    /// parser of the same bytes came to.
    init(_ records: UnsafeRawBufferPointer, of header: BatchHeader, from place: Place = Place()) {
        self.header = header
        self.records = records
        reader = ByteReader(records, at: place.position)
        lastOffsetDelta = place.lastOffsetDelta
    }

    var place: Place { Place(position: reader.position, lastOffsetDelta: lastOffsetDelta) }

    /// The bytes behind the records that were parsed.
    var remaining: Int { reader.remaining }

    /// The next record; nil when the bytes hold none, or one that contradicts the batch's header.
    mutating func next() -> RecordView? {
        guard let length = reader.varint32(), length >= 0, Int(length) <= reader.remaining
        else { return nil }
        let end = reader.position + Int(length)
        guard reader.skip(1) != nil,
            let timestampDelta = reader.varint(), let offsetDelta = reader.varint32(),
            offsetDelta > lastOffsetDelta, offsetDelta <= header.lastOffsetDelta,
            let timestamp = timestamp(timestampDelta),
            let key = Self.field(&reader), let value = Self.field(&reader),
            let headerCount = reader.varint32(), headerCount >= 0
        else { return nil }
        lastOffsetDelta = offsetDelta
        let start = reader.position
        guard Self.skipHeaders(headerCount, &reader), reader.position == end else { return nil }
        return RecordView(
            offset: header.baseOffset + Int64(offsetDelta), timestamp: timestamp, key: key,
            value: value, headerCount: Int(headerCount),
            headers: UnsafeRawBufferPointer(rebasing: records[start..<end]))
    }

    private func timestamp(_ delta: Int64) -> Int64? {
        if header.isLogAppendTime { return header.maxTimestamp }
        let (timestamp, overflow) = header.baseTimestamp.addingReportingOverflow(delta)
        return overflow ? nil : timestamp
    }

    /// A field that may be missing: the outer nil says that it does not parse.
    static func field(_ reader: inout ByteReader) -> UnsafeRawBufferPointer?? {
        guard let count = reader.varint32(), count >= -1 else { return nil }
        if count == -1 { return .some(nil) }
        return reader.bytes(Int(count)).map { .some($0) }
    }

    /// Checks that a name and a value are there for each header. A header takes at least two bytes,
    /// so a count that lies ends soon.
    private static func skipHeaders(_ count: Int32, _ reader: inout ByteReader) -> Bool {
        for _ in 0..<count {
            guard let name = field(&reader), name != nil, field(&reader) != nil
            else { return false }
        }
        return true
    }
}
