import CordwoodStorage

/// Turns records into Kafka record batches of version 2, one allocation a batch.
///
/// The size is computed first and the bytes are written once, so a record costs no allocation; the
/// CRC runs over the block while it is still in cache.
///
/// Batches are planned by their uncompressed size: none passes the maximum even before it is
/// compressed, so what is read back never inflates to more. A batch that its codec does not make
/// smaller is written without one.
package struct RecordBatchEncoder {
    private let maxMessageBytes: Int
    private let compressionType: CompressionType
    private let timestamps: TimestampBounds

    /// Takes any timestamp.
    package init(maxMessageBytes: Int, compressionType: CompressionType = .producer) {
        self.maxMessageBytes = maxMessageBytes
        self.compressionType = compressionType
        timestamps = TimestampBounds()
    }

    /// Encodes as a log of this configuration does.
    package init(_ configuration: LogConfiguration) {
        maxMessageBytes = configuration.maxMessageBytes
        compressionType = configuration.compressionType
        timestamps = TimestampBounds(configuration)
    }

    /// The fewest batches, filled in order, that hold `records`, each within the maximum. O(bytes),
    /// and the codec's work.
    ///
    /// Throws ``LogError/Code/emptyBatch`` for no records, and ``LogError/Code/recordTooLarge`` or
    /// ``LogError/Code/invalidTimestamp`` naming the record that no batch can hold, or whose time is
    /// not taken.
    package func encode(_ records: [Record], now: Int64) throws(LogError) -> [EncodedBatch] {
        var batches: [EncodedBatch] = []
        try forEachPlan(records, now: now) { start, plan in
            batches.append(write(records[start..<plan.end], plan))
        }
        return batches
    }

    /// How many records go into each batch of ``encode(_:now:)``. O(records).
    package func batchCounts(_ records: [Record], now: Int64) throws(LogError) -> [Int] {
        var counts: [Int] = []
        try forEachPlan(records, now: now) { start, plan in counts.append(plan.end - start) }
        return counts
    }

    /// Throws what ``encode(_:now:)`` would throw, and writes nothing. O(records).
    package func check(_ records: [Record], now: Int64) throws(LogError) {
        try forEachPlan(records, now: now) { _, _ in }
    }

    private func forEachPlan(
        _ records: [Record], now: Int64, _ body: (_ start: Int, Plan) -> Void
    ) throws(LogError) {
        guard !records.isEmpty else {
            throw LogError(.emptyBatch, "expected at least one record, found none")
        }
        let allowed = timestamps.range(at: now)
        var start = 0
        while start < records.count {
            let plan = try plan(records, from: start, now: now, allowed: allowed)
            body(start, plan)
            start = plan.end
        }
    }

    /// How far one batch reaches and how many bytes it takes.
    private struct Plan {
        var end: Int
        var byteCount: Int
        var baseTimestamp: Int64
        var maxTimestamp: Int64
        var now: Int64
    }

    private func plan(
        _ records: [Record], from start: Int, now: Int64, allowed: ClosedRange<Int64>
    ) throws(LogError) -> Plan {
        let base = records[start].timestamp ?? now
        var plan = Plan(
            end: start, byteCount: BatchHeader.byteCount, baseTimestamp: base, maxTimestamp: base,
            now: now)
        while plan.end < records.count {
            let timestamp = records[plan.end].timestamp ?? now
            guard allowed.contains(timestamp) else {
                throw LogError(
                    .invalidTimestamp,
                    "record \(plan.end): expected a timestamp from \(allowed.lowerBound) to "
                        + "\(allowed.upperBound), found \(timestamp); nothing was appended")
            }
            let (delta, overflow) = timestamp.subtractingReportingOverflow(base)
            // A time too far from the first one's to be written as a difference opens a new batch.
            if overflow { break }
            let body = Self.bodyByteCount(
                records[plan.end], timestampDelta: delta, offsetDelta: plan.end - start)
            let count = body + ByteWriter.varintCount(Int64(body))
            guard plan.byteCount + count <= maxMessageBytes else {
                if plan.end > start { break }
                throw LogError(
                    .recordTooLarge,
                    "record \(start) needs a batch of \(plan.byteCount + count) bytes, expected at "
                        + "most maxMessageBytes = \(maxMessageBytes); nothing was appended")
            }
            plan.byteCount += count
            plan.maxTimestamp = max(plan.maxTimestamp, timestamp)
            plan.end += 1
        }
        return plan
    }

    /// The bytes of a record after its length.
    private static func bodyByteCount(
        _ record: Record, timestampDelta: Int64, offsetDelta: Int
    ) -> Int {
        var count = 1 + ByteWriter.varintCount(timestampDelta)
        count += ByteWriter.varintCount(Int64(offsetDelta))
        count += fieldByteCount(record.key?.count) + fieldByteCount(record.value?.count)
        count += ByteWriter.varintCount(Int64(record.headers.count))
        for header in record.headers {
            count += fieldByteCount(header.key.utf8.count) + fieldByteCount(header.value?.count)
        }
        return count
    }

    /// A length (-1 for a missing field) and the bytes.
    private static func fieldByteCount(_ count: Int?) -> Int {
        ByteWriter.varintCount(Int64(count ?? -1)) + (count ?? 0)
    }

    private func write(_ records: ArraySlice<Record>, _ plan: Plan) -> EncodedBatch {
        var writer = ByteWriter(count: plan.byteCount)
        writer.bigEndian(Int64(0))  // base offset: set by the log
        writer.bigEndian(Int32(plan.byteCount - BatchHeader.lengthPrefixBytes))
        writer.bigEndian(Int32(0))  // leader epoch: set by the log
        writer.bigEndian(BatchHeader.currentMagic)
        writer.bigEndian(UInt32(0))  // checksum: below
        writer.bigEndian(Int16(0))  // no codec, create time
        writer.bigEndian(Int32(records.count - 1))
        writer.bigEndian(plan.baseTimestamp)
        writer.bigEndian(plan.maxTimestamp)
        writer.bigEndian(Int64(-1))  // no producer id
        writer.bigEndian(Int16(-1))
        writer.bigEndian(Int32(-1))
        writer.bigEndian(Int32(records.count))
        for (index, record) in records.enumerated() {
            let delta = (record.timestamp ?? plan.now) - plan.baseTimestamp
            writer.varint(
                Int64(
                    Self.bodyByteCount(record, timestampDelta: delta, offsetDelta: index)))
            writer.bigEndian(Int8(0))
            writer.varint(delta)
            writer.varint(Int64(index))
            Self.write(record.key, to: &writer)
            Self.write(record.value, to: &writer)
            writer.varint(Int64(record.headers.count))
            for header in record.headers {
                Self.write(header.key, to: &writer)
                Self.write(header.value, to: &writer)
            }
        }
        let plain = EncodedBatch(block: writer.finish(), recordCount: records.count)
        let batch = plain.compressed(as: compressionType) ?? plain
        batch.seal()
        return batch
    }

    private static func write(_ field: [UInt8]?, to writer: inout ByteWriter) {
        writer.varint(Int64(field?.count ?? -1))
        if let field { writer.bytes(field) }
    }

    /// Copies only a string whose bytes are not in one piece, which Swift's own always are.
    private static func write(_ text: String, to writer: inout ByteWriter) {
        var text = text
        text.withUTF8 { bytes in
            writer.varint(Int64(bytes.count))
            writer.bytes(UnsafeRawBufferPointer(bytes))
        }
    }
}
