import CordwoodSimulation
import CordwoodStorage
import Testing

@testable import CordwoodLog

/// A batch for the pure parts of compaction, with its records decoded.
struct KeyedBatch {
    let block: MemoryBlock
    let header: BatchHeader
    let records: [StoredRecord]

    /// Decodes a batch, which must pass its CRC.
    init(_ block: MemoryBlock) throws {
        self.block = block
        var cursor = SegmentCursor(
            position: 0, nextOffset: try #require(BatchHeader(block.unsafeBytes)).baseOffset,
            chain: BatchChain(value: 0))
        header = try cursor.next(in: block.unsafeBytes)
        #expect(cursor.position == block.count)
        records = try RecordBatch(verified: header, MemorySlice(block)).records()
    }

    /// Encodes records; `change` alters the header, before the CRC is made.
    init(
        _ records: [Record], baseOffset: Int64, compressionType: CompressionType = .producer,
        change: (inout BatchHeader) -> Void = { _ in }
    ) throws {
        let encoded = try RecordBatchEncoder(
            maxMessageBytes: 1 << 20, compressionType: compressionType
        ).encode(records, now: 0)[0]
        encoded.assign(baseOffset: baseOffset, epoch: 0)
        var header = try #require(BatchHeader(encoded.block.unsafeBytes))
        change(&header)
        var writer = ByteWriter(count: encoded.block.count)
        header.write(to: &writer)
        writer.bytes(
            UnsafeRawBufferPointer(rebasing: encoded.block.unsafeBytes[BatchHeader.byteCount...]))
        let block = writer.finish()
        let checksum = crc32c(
            UnsafeRawBufferPointer(rebasing: block.unsafeBytes[BatchHeader.checksummedFrom...]))
        block.unsafeMutableBytes.storeBytes(
            of: checksum.bigEndian, toByteOffset: BatchHeader.checksumPosition, as: UInt32.self)
        try self.init(block)
    }

    /// A few records of few keys, some without a value, some without a key, some with headers, with
    /// any codec.
    init(random: inout SplitMix64, baseOffset: Int64, keys: Int = 10) throws {
        let records = (0..<1 + random.below(8)).map { _ in
            Record(
                key: random.below(10) == 0 ? nil : [UInt8(random.below(keys))],
                value: random.below(4) == 0
                    ? nil : [UInt8](repeating: UInt8(random.below(256)), count: random.below(200)),
                headers: random.below(4) == 0
                    ? [RecordHeader(key: "h", value: random.coin() ? nil : [1, 2])] : [],
                timestamp: 1_700_000_000_000 + Int64(random.below(100_000)))
        }
        let codec = Codec.allCases[random.below(Codec.allCases.count)]
        try self.init(records, baseOffset: baseOffset, compressionType: codec.defaultType)
    }

    func filter(
        _ filter: inout BatchFilter, _ options: BatchFilter.Options,
        _ survives: (Int64) -> Bool
    ) -> BatchFilter.Outcome {
        filter.filter(block.unsafeBytes, header, options) { record, _ in
            survives(header.baseOffset + Int64(record.offsetDelta))
        }
    }
}
