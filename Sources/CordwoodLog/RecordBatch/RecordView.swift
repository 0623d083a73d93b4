import CordwoodStorage

/// A record where it lies in its batch: nothing is copied and nothing allocated.
///
/// Valid inside the call that lends it; ``stored()`` makes a copy to keep.
public struct RecordView: ~Copyable {
    public let offset: Int64
    /// Milliseconds since 1970-01-01 UTC.
    public let timestamp: Int64
    public let headerCount: Int
    @usableFromInline let key: UnsafeRawBufferPointer?
    @usableFromInline let value: UnsafeRawBufferPointer?
    /// The headers' bytes, which hold `headerCount` names and values.
    private let headers: UnsafeRawBufferPointer

    init(
        offset: Int64, timestamp: Int64, key: UnsafeRawBufferPointer?,
        value: UnsafeRawBufferPointer?, headerCount: Int, headers: UnsafeRawBufferPointer
    ) {
        self.offset = offset
        self.timestamp = timestamp
        self.key = key
        self.value = value
        self.headerCount = headerCount
        self.headers = headers
    }

    /// The bytes of the key; nil for a record without one.
    @inlinable public var keyByteCount: Int? { key?.count }
    /// The bytes of the value; nil for a tombstone.
    @inlinable public var valueByteCount: Int? { value?.count }

    /// Lends the key to `body`, nil for a record without one.
    @inlinable
    public func withKey<Value: ~Copyable, Failure: Error>(
        _ body: (RawSpan?) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        guard let key else { return try body(nil) }
        return try body(key.bytes)
    }

    /// Lends the value to `body`, nil for a tombstone.
    @inlinable
    public func withValue<Value: ~Copyable, Failure: Error>(
        _ body: (RawSpan?) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        guard let value else { return try body(nil) }
        return try body(value.bytes)
    }

    /// Lends each header's name, UTF-8 that nobody has checked, and value, nil where it has none.
    /// Ends early where they no longer parse, which is so only after somebody has cut the file that
    /// the batch is mapped from.
    public func forEachHeader<Failure: Error>(
        _ body: (_ name: RawSpan, _ value: RawSpan?) throws(Failure) -> Void
    ) throws(Failure) {
        var reader = ByteReader(headers)
        for _ in 0..<headerCount {
            guard let name = RecordParser.field(&reader), let name,
                let value = RecordParser.field(&reader)
            else { return }
            if let value {
                try body(name.bytes, value.bytes)
            } else {
                try body(name.bytes, nil)
            }
        }
    }

    /// A copy of the record. Throws ``LogError/Code/malformedRecord`` when the name of a header is
    /// not UTF-8. O(bytes).
    public func stored() throws(LogError) -> StoredRecord {
        StoredRecord(
            offset: offset, timestamp: timestamp, key: key.map { Array($0) },
            value: value.map { Array($0) }, headers: try storedHeaders())
    }

    private func storedHeaders() throws(LogError) -> [RecordHeader] {
        if headerCount == 0 { return [] }
        var stored: [RecordHeader] = []
        try forEachHeader { (name, value) throws(LogError) in
            guard
                let text = name.withUnsafeBytes({ String(validating: $0, as: UTF8.self) })
            else {
                throw LogError(
                    .malformedRecord,
                    "the record at offset \(offset): expected UTF-8 in the name of header "
                        + "\(stored.count)")
            }
            var bytes: [UInt8]?
            if let value { bytes = value.withUnsafeBytes { Array($0) } }
            stored.append(RecordHeader(key: text, value: bytes))
        }
        guard stored.count == headerCount else {
            throw LogError(
                .malformedRecord,
                "the record at offset \(offset): expected \(headerCount) headers, found "
                    + "\(stored.count): its file was cut")
        }
        return stored
    }
}
