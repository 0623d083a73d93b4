import CordwoodSimulation
import CordwoodStorage
import Testing

@testable import CordwoodLog

/// How many offsets one segment holds.
@Suite struct SegmentSpanTests {
    /// A batch of a few bytes that claims as many records as a compressed one may hold.
    private func batch(records: Int32) throws -> EncodedBatch {
        let block = try RecordBatchEncoder(maxMessageBytes: 1000)
            .encode([Record("x")], now: 1)[0].block
        let bytes = block.unsafeMutableBytes
        bytes.storeBytes(of: (records - 1).bigEndian, toByteOffset: 23, as: Int32.self)
        bytes.storeBytes(of: records.bigEndian, toByteOffset: 57, as: Int32.self)
        let batch = EncodedBatch(block: block, recordCount: Int(records))
        batch.seal()
        return batch
    }

    /// A segment is rolled before the offset behind it would be 2^31 from its start, also when the
    /// batches come in one group.
    @Test func offsetsRollTheSegment() async throws {
        let storage = SimulatedStorage(seed: 1)
        var log = try await openLog(on: storage)
        let sizes: [Int32] = [1 << 30, 1 << 30, 1, (1 << 30) - 2, .max, .max, 1 << 30]
        _ = try await log.append(try sizes.map(batch), acknowledge: .durable)
        var bases: [Int64] = [0]
        for size in sizes { bases.append(bases.last! + Int64(size)) }
        for life in 0..<3 {
            #expect(log.endOffset == bases.last, "life \(life)")
            #expect(log.segmentCount == 5)
            for (number, base) in bases.dropLast().enumerated() {
                let found = try await log.read(from: base, maximumBytes: 1).first
                #expect(found?.baseOffset == base && found?.recordCount == Int(sizes[number]))
            }
            if life == 0 { storage.crash(.dropUnsynced) } else { try await log.close() }
            log = try await openLog(on: storage)
            #expect(log.recovery.cutBytes == 0 && log.recovery.quarantined.isEmpty)
        }
    }
}
