public import CordwoodStorage

/// What `cordwood-bench records` measures and no server needs: the two ends of a log without the
/// log between them.
@_spi(Benchmarks)
extension RecordBatch {
    /// The batches that an append of these records writes, side by side from offset 0.
    public static func encode(
        _ records: [Record], as type: CompressionType, maxMessageBytes: Int
    ) throws(LogError) -> [MemoryBlock] {
        let encoder = RecordBatchEncoder(maxMessageBytes: maxMessageBytes, compressionType: type)
        return try encoder.encode(records, now: 0).map(\.block)
    }

    /// The batch that lies in `block`, after all that reading it from a segment checks; nil when a
    /// check fails.
    public static func verified(_ block: MemoryBlock) -> RecordBatch? {
        var cursor = SegmentCursor(position: 0, nextOffset: 0, chain: BatchChain(value: 0))
        guard let header = try? cursor.next(in: block.unsafeBytes) else { return nil }
        return RecordBatch(verified: header, MemorySlice(block))
    }
}
