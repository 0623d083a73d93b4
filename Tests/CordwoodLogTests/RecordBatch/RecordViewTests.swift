import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodLog

@Suite struct RecordViewTests {
    private func batch(
        _ records: [Record], _ type: CompressionType = .uncompressed,
        edit: (MemoryBlock) -> Void = { _ in }
    ) throws -> RecordBatch {
        let encoded = try RecordBatchEncoder(maxMessageBytes: 1 << 20, compressionType: type)
            .encode(records, now: 5)
        try #require(encoded.count == 1)
        encoded[0].assign(baseOffset: 100, epoch: 0)
        edit(encoded[0].block)
        encoded[0].seal()
        let header = try #require(
            withExtendedLifetime(encoded[0].block) { BatchHeader(encoded[0].block.unsafeBytes) })
        return RecordBatch(verified: header, MemorySlice(encoded[0].block))
    }

    @Test(arguments: compressionTypes) func viewsShowWhatCopiesHold(type: CompressionType) throws {
        for seed in seeds(30) {
            var random = SplitMix64(seed: seed)
            let records = (0..<1 + random.below(30)).map { _ in
                var record = RecordBatchTests.randomRecord(&random)
                record.timestamp = Int64(random.below(1000))
                return record
            }
            let batch = try batch(records, type)
            var found: [StoredRecord] = []
            try batch.forEachRecord { (view) throws(LogError) in
                let key = view.withKey { bytes($0) }
                let value = view.withValue { bytes($0) }
                #expect(view.keyByteCount == key?.count && view.valueByteCount == value?.count)
                var headers: [RecordHeader] = []
                view.forEachHeader { name, value in
                    headers.append(
                        RecordHeader(
                            key: String(decoding: bytes(name) ?? [], as: UTF8.self),
                            value: bytes(value)))
                }
                #expect(headers.count == view.headerCount)
                let stored = StoredRecord(
                    offset: view.offset, timestamp: view.timestamp, key: key, value: value,
                    headers: headers)
                #expect(try! view.stored() == stored)
                found.append(stored)
            }
            #expect(try found == batch.records(), "seed \(seed)")
            #expect(found.map(\.record) == records, "seed \(seed)")
        }
    }

    private func bytes(_ span: RawSpan?) -> [UInt8]? {
        guard let span else { return nil }
        return span.withUnsafeBytes { Array($0) }
    }

    @Test func anErrorOfTheBodyEndsTheWalk() async throws {
        let batch = try batch((0..<10).map { Record("\($0)") })
        var seen = 0
        await expectLogError(.cancelled) {
            try batch.forEachRecord { (record) throws(LogError) in
                seen += 1
                if record.offset == 103 { throw LogError(.cancelled, "enough") }
            }
        }
        #expect(seen == 4)
    }

    /// The log that set the time of the batch set that of its records.
    @Test func appendTimeIsTheBatchsForEveryRecord() throws {
        let records = (0..<4).map { Record(value: [1], timestamp: Int64($0) * 10) }
        let batch = try batch(records) { block in
            block.unsafeMutableBytes[BatchHeader.attributesPosition + 1] |= 8
            block.unsafeMutableBytes.storeBytes(
                of: Int64(777).bigEndian, toByteOffset: 35, as: Int64.self)
        }
        #expect(try batch.records().map(\.timestamp) == [777, 777, 777, 777])
    }

    @Test func offsetsThatDoNotIncreaseAreMalformed() async throws {
        // A record takes seven bytes; the fourth is its offset's difference, doubled.
        let records = (0..<3).map { _ in Record(value: nil, timestamp: 0) }
        func deltas(_ deltas: [UInt8]) throws -> RecordBatch {
            try batch(records) { block in
                for (index, delta) in deltas.enumerated() {
                    block.unsafeMutableBytes[61 + 7 * index + 3] = 2 * delta
                }
                block.unsafeMutableBytes[26] = 5
            }
        }
        #expect(try deltas([0, 1, 5]).records().map(\.offset) == [100, 101, 105])
        for wrong in [[0, 0, 1], [0, 2, 1], [1, 1, 2], [0, 1, 6]] as [[UInt8]] {
            let batch = try deltas(wrong)
            await expectLogError(.malformedRecord) { _ = try batch.records() }
        }
    }

    @Test func aHeadersNameThatIsNotTextIsMalformedOnlyInACopy() async throws {
        let record = Record(
            value: [], headers: [RecordHeader(key: "name", value: nil)], timestamp: 0)
        let batch = try batch([record]) { block in
            let bytes = block.unsafeMutableBytes
            bytes[bytes.count - 5] = 0xFF
        }
        var names: [[UInt8]] = []
        try batch.forEachRecord { (view) throws(LogError) in
            view.forEachHeader { name, _ in names.append(bytes(name) ?? []) }
        }
        #expect(names == [[0xFF] + Array("ame".utf8)])
        await expectLogError(.malformedRecord) { _ = try batch.records() }
    }
}
