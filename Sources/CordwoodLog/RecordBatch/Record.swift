/// A record to be appended: an optional key, a value, and headers, as Kafka defines them.
///
/// A record without a value is a tombstone: compaction reads it as "this key is gone".
public struct Record: Sendable, Hashable {
    public var key: [UInt8]?
    public var value: [UInt8]?
    public var headers: [RecordHeader]
    /// Milliseconds since 1970-01-01 UTC; nil takes the log's clock when the record is encoded.
    public var timestamp: Int64?

    public init(
        key: [UInt8]? = nil, value: [UInt8]?, headers: [RecordHeader] = [], timestamp: Int64? = nil
    ) {
        self.key = key
        self.value = value
        self.headers = headers
        self.timestamp = timestamp
    }

    /// A record of UTF-8 text.
    public init(_ text: String, key: String? = nil) {
        self.init(key: key.map { Array($0.utf8) }, value: Array(text.utf8))
    }
}

/// A name and bytes that travel beside a record's value.
public struct RecordHeader: Sendable, Hashable {
    public var key: String
    public var value: [UInt8]?

    public init(key: String, value: [UInt8]?) {
        self.key = key
        self.value = value
    }
}

/// A record as it was read: with the offset and the time that the log gave it.
public struct StoredRecord: Sendable, Hashable {
    public var offset: Int64
    /// Milliseconds since 1970-01-01 UTC.
    public var timestamp: Int64
    public var key: [UInt8]?
    public var value: [UInt8]?
    public var headers: [RecordHeader]

    public init(
        offset: Int64, timestamp: Int64, key: [UInt8]?, value: [UInt8]?, headers: [RecordHeader]
    ) {
        self.offset = offset
        self.timestamp = timestamp
        self.key = key
        self.value = value
        self.headers = headers
    }

    /// The value as UTF-8 text; nil where there is none or it is not valid UTF-8.
    public var text: String? { value.flatMap { String(validating: $0, as: UTF8.self) } }
}
