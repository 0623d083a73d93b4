public import CordwoodStorage

/// A batch of records as it lies in the log, byte for byte Kafka's format (magic 2), without a
/// copy.
///
/// A batch that the log hands out has passed its CRC and the log's own chained checksum. It keeps
/// the memory it lies in alive, mapped or allocated, for as long as it lives.
public struct RecordBatch: Sendable {
    /// The whole batch, header and records.
    public let bytes: MemorySlice
    public let baseOffset: Int64
    /// The offset of the last record; compaction may have removed records before it.
    public let lastOffset: Int64
    public let recordCount: Int
    /// Milliseconds since 1970-01-01 UTC.
    public let maxTimestamp: Int64

    /// Wraps a batch whose header and checksums have been verified.
    init(verified header: BatchHeader, _ bytes: MemorySlice) {
        self.bytes = bytes
        baseOffset = header.baseOffset
        lastOffset = header.nextOffset - 1
        recordCount = Int(header.recordCount)
        maxTimestamp = header.maxTimestamp
    }

    /// The bytes of the batch, with its header.
    public var byteCount: Int { bytes.count }
}

extension RecordBatch {
    /// The records, copied out of the batch. O(bytes).
    ///
    /// Throws ``LogError/Code/unsupportedCodec`` for a compressed batch, and
    /// ``LogError/Code/malformedRecord`` when a record's inside does not parse; every length is
    /// held against the bytes that remain before anything is allocated.
    public func records() throws(LogError) -> [StoredRecord] {
        let bytes = bytes.unsafeBytes
        guard let header = BatchHeader(bytes) else { throw malformed(0, "a short header") }
        let codec = header.attributes & 0x7
        guard codec == 0 else {
            throw LogError(
                .unsupportedCodec,
                "the batch at offset \(baseOffset) is compressed with "
                    + "\(Self.codecName(codec)), expected none")
        }
        var reader = ByteReader(bytes, at: BatchHeader.byteCount)
        var records: [StoredRecord] = []
        // A record takes at least seven bytes, so a count that lies cannot reserve much.
        records.reserveCapacity(min(recordCount, reader.remaining / 7 + 1))
        for index in 0..<recordCount {
            guard let record = decodeRecord(&reader, header) else {
                throw malformed(index, "a field that does not fit the batch")
            }
            records.append(record)
        }
        guard reader.remaining == 0 else {
            throw malformed(recordCount, "\(reader.remaining) bytes after the last record")
        }
        return records
    }

    private func malformed(_ index: Int, _ found: String) -> LogError {
        LogError(
            .malformedRecord,
            "record \(index) of the batch at offset \(baseOffset): expected a record, "
                + "found \(found)"
        )
    }

    private func decodeRecord(_ reader: inout ByteReader, _ header: BatchHeader) -> StoredRecord? {
        guard let length = reader.varint32(), length >= 0, Int(length) <= reader.remaining
        else { return nil }
        let end = reader.position + Int(length)
        guard reader.bigEndian(Int8.self) != nil,
            let timestampDelta = reader.varint(), let offsetDelta = reader.varint32(),
            offsetDelta >= 0, offsetDelta <= header.lastOffsetDelta,
            case (let timestamp, let overflow) = header.baseTimestamp.addingReportingOverflow(
                timestampDelta), !overflow,
            let key = Self.decodeField(&reader), let value = Self.decodeField(&reader),
            let headers = Self.decodeHeaders(&reader), reader.position == end
        else { return nil }
        return StoredRecord(
            offset: baseOffset + Int64(offsetDelta), timestamp: timestamp, key: key, value: value,
            headers: headers)
    }

    /// A field that may be missing: the outer nil says that it does not parse.
    private static func decodeField(_ reader: inout ByteReader) -> [UInt8]?? {
        guard let count = reader.varint32(), count >= -1 else { return nil }
        if count == -1 { return .some(nil) }
        return reader.bytes(Int(count)).map { Array($0) }
    }

    private static func decodeHeaders(_ reader: inout ByteReader) -> [RecordHeader]? {
        // A header takes at least two bytes.
        guard let count = reader.varint32(), count >= 0, Int(count) <= reader.remaining / 2
        else { return nil }
        var headers: [RecordHeader] = []
        for _ in 0..<count {
            guard let key = decodeField(&reader), let key,
                let name = String(validating: key, as: UTF8.self),
                let value = decodeField(&reader)
            else { return nil }
            headers.append(RecordHeader(key: name, value: value))
        }
        return headers
    }

    static func codecName(_ codec: Int16) -> String {
        switch codec {
        case 0: "none"
        case 1: "gzip"
        case 2: "snappy"
        case 3: "lz4"
        case 4: "zstd"
        default: "codec \(codec)"
        }
    }
}
