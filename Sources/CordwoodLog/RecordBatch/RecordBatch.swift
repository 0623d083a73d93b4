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
