import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodLog

@Suite struct CompressedBatchTests {
    private func records(_ count: Int = 40) -> [Record] {
        (0..<count).map { number in
            Record(
                key: Array("key \(number % 7)".utf8), value: [UInt8](repeating: 7, count: 50),
                headers: number % 3 == 0 ? [RecordHeader(key: "kind", value: [1, 2])] : [],
                timestamp: 1_700_000_000_000 + Int64(number))
        }
    }

    private func encoded(_ records: [Record], _ type: CompressionType) throws -> [UInt8] {
        let batches = try RecordBatchEncoder(maxMessageBytes: 1 << 20, compressionType: type)
            .encode(records, now: 0)
        try #require(batches.count == 1)
        batches[0].assign(baseOffset: 0, epoch: 0)
        return batches[0].block.array
    }

    /// Verifies and wraps the batch as a reader does.
    private func batch(_ bytes: [UInt8]) throws -> RecordBatch {
        let block = MemoryBlock(copying: bytes)
        var cursor = SegmentCursor(position: 0, nextOffset: 0, chain: BatchChain(value: 0))
        let header = try withExtendedLifetime(block) { try cursor.next(in: block.unsafeBytes) }
        return RecordBatch(verified: header, MemorySlice(block))
    }

    /// Makes length and checksum right for bytes that are wrong.
    private func sealed(_ bytes: [UInt8]) -> [UInt8] {
        let block = MemoryBlock(copying: bytes)
        block.unsafeMutableBytes.storeBytes(
            of: Int32(bytes.count - BatchHeader.lengthPrefixBytes).bigEndian,
            toByteOffset: BatchHeader.batchLengthPosition, as: Int32.self)
        EncodedBatch(block: block, recordCount: 0).seal()
        return block.array
    }

    @Test(arguments: compressionTypes) func recordsComeBackFromEveryCodec(
        type: CompressionType
    ) throws {
        let bytes = try encoded(records(), type)
        let plain = try encoded(records(), .uncompressed)
        #expect(bytes[22] == type.codec.rawValue)
        #expect(type.codec == .none ? bytes == plain : bytes.count < plain.count)
        // All of the header but length, checksum and codec is that of the plain batch.
        #expect(bytes[23..<61] == plain[23..<61])
        #expect(try batch(bytes).records().map(\.record) == records())
    }

    @Test(arguments: compressionTypes) func randomRecordsComeBack(type: CompressionType) throws {
        for seed in seeds(30) {
            var random = SplitMix64(seed: seed)
            let records = (0..<1 + random.below(60)).map { _ in
                RecordBatchTests.randomRecord(&random)
            }
            let encoder = RecordBatchEncoder(maxMessageBytes: 4096, compressionType: type)
            var offset: Int64 = 0
            var found: [Record] = []
            for encoded in try encoder.encode(records, now: 42) {
                #expect(encoded.byteCount <= 4096)
                encoded.assign(baseOffset: offset, epoch: 0)
                var cursor = SegmentCursor(
                    position: 0, nextOffset: offset, chain: BatchChain(value: 0))
                let header = try withExtendedLifetime(encoded.block) {
                    try cursor.next(in: encoded.block.unsafeBytes)
                }
                let batch = RecordBatch(verified: header, MemorySlice(encoded.block))
                found += try batch.records().map(\.record)
                offset = cursor.nextOffset
            }
            let expected = records.map { record in
                var record = record
                record.timestamp = record.timestamp ?? 42
                return record
            }
            #expect(found == expected, "seed \(seed)")
        }
    }

    @Test func aBatchThatGetsNoSmallerStaysPlain() throws {
        var random = SplitMix64(seed: 1)
        let noise = Record(value: (0..<500).map { _ in UInt8(random.below(256)) }, timestamp: 0)
        for type in compressionTypes {
            #expect(try encoded([noise], type) == encoded([noise], .uncompressed))
        }
    }

    @Test(arguments: compressionTypes) func aLogKeepsBatchesAsTheyWereCompressed(
        type: CompressionType
    ) async throws {
        let storage = SimulatedStorage(seed: 1)
        var configuration = LogConfiguration.smallWithoutTail
        configuration.compressionType = type
        for life in 0..<2 {
            let log = try await openLog(on: storage, configuration)
            for _ in 0..<20 { _ = try await log.append(records(10), acknowledge: .durable) }
            let found = try await log.all()
            #expect(found.count == 200 * (life + 1) + 10 * life)
            #expect(found.map(\.record) == (0..<21 * life + 20).flatMap { _ in records(10) })
            for batch in try await log.read(from: 0) {
                #expect(batch.bytes.array[22] == type.codec.rawValue)
            }
            #expect(try await log.verify().isSound)
            let offsets = try await log.append(
                records(10),
                producer: ProducerSequence(
                    producerID: 1, epoch: Int16(life), baseSequence: 0), acknowledge: .durable)
            let produced = try #require(try await log.read(from: offsets.lowerBound).first)
            #expect(produced.bytes.array[22] == type.codec.rawValue)
            #expect(try produced.records().map(\.record) == records(10))
            try await log.close()
        }
    }

    // MARK: Hostile batches

    @Test(arguments: Codec.compressing) func everyTruncationOfTheRecordsIsNoticed(
        codec: Codec
    ) throws {
        let good = try encoded(records(), codec.defaultType)
        for count in BatchHeader.byteCount..<good.count {
            let cut = try batch(sealed(Array(good[..<count])))
            expectMalformed(cut, "cut to \(count)")
        }
    }

    @Test(arguments: Codec.compressing) func flippedBytesUnderARightChecksumNeverTrap(
        codec: Codec
    ) throws {
        let good = try encoded(records(), codec.defaultType)
        for byte in BatchHeader.byteCount..<good.count {
            for mask in [1, 0x80, 0xFF] as [UInt8] {
                var bad = good
                bad[byte] ^= mask
                let batch = try batch(sealed(bad))
                do throws(LogError) {
                    // snappy and lz4 carry no checksum here, so other values may come out.
                    let found = try batch.records()
                    #expect(found.count == 40)
                } catch {
                    #expect(
                        error.code == .malformedCompression || error.code == .malformedRecord,
                        "\(error)")
                }
            }
        }
    }

    @Test(arguments: [Codec.none] + Codec.compressing) func recordCountsThatLieAreNoticed(
        codec: Codec
    ) throws {
        let good = try encoded(records(), codec.defaultType)
        for count in [0, 1, 39, 41, 1000, Int32.max - 1] as [Int32] {
            var bad = good
            // The offsets span as many, so that the header alone holds together.
            withUnsafeBytes(of: max(count - 1, 39).bigEndian) {
                bad.replaceSubrange(23..<27, with: $0)
            }
            withUnsafeBytes(of: count.bigEndian) { bad.replaceSubrange(57..<61, with: $0) }
            expectMalformed(try batch(sealed(bad)), "\(count) records")
        }
    }

    @Test func aBombInABatchIsRefusedByName() async throws {
        let member = CompressionType.gzip().compressed([UInt8](repeating: 0, count: 1 << 20))
        var bomb = Array(try encoded(records(), .gzip())[..<BatchHeader.byteCount])
        for _ in 0..<1024 { bomb += member }
        let bombed = try batch(sealed(bomb))
        let error = await expectLogError(.malformedCompression) { _ = try bombed.records() }
        #expect(error?.message.contains("more than 67108864 bytes") == true)
        #expect(error?.message.contains("offset 0") == true)
    }

    @Test func anEmptiedBatchHasNothingToInflate() throws {
        for codec in Codec.allCases {
            var bytes = Array(try encoded(records(), .uncompressed)[..<BatchHeader.byteCount])
            bytes[22] = codec.rawValue
            bytes.replaceSubrange(57..<61, with: [0, 0, 0, 0])
            #expect(try batch(sealed(bytes)).records() == [])
        }
    }

    private func expectMalformed(_ batch: RecordBatch, _ comment: Comment) {
        do throws(LogError) {
            let found = try batch.records()
            Issue.record("\(found.count) records; \(comment)")
        } catch {
            #expect(
                error.code == .malformedCompression || error.code == .malformedRecord, comment)
        }
    }
}
