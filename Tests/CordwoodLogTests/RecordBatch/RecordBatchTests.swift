import CCordwoodChecksum
import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodLog

@Suite struct RecordBatchTests {
    private func batch(_ bytes: [UInt8]) throws -> RecordBatch {
        let block = MemoryBlock(copying: bytes)
        let header = try #require(BatchHeader(block.unsafeBytes))
        return RecordBatch(verified: header, MemorySlice(block))
    }

    static func randomRecord(_ random: inout SplitMix64) -> Record {
        func field() -> [UInt8]? {
            switch random.below(4) {
            case 0: nil
            case 1: []
            case 2: (0..<random.below(20)).map { _ in UInt8(random.below(256)) }
            default: [UInt8](repeating: 7, count: random.below(200))
            }
        }
        let times: [Int64?] = [nil, 0, -1, 1_700_000_000_000, .max, .min, .max - 1]
        return Record(
            key: field(), value: field(),
            headers: (0..<(random.coin() ? 0 : random.below(4))).map { _ in
                RecordHeader(key: ["", "a", "naïve", "\u{1F332}"][random.below(4)], value: field())
            },
            timestamp: random.coin() ? Int64(random.below(1000)) : times[random.below(7)])
    }

    @Test func encodedRecordsDecodeToThemselves() throws {
        for seed in seeds(200) {
            var random = SplitMix64(seed: seed)
            let records = (0..<1 + random.below(30)).map { _ in Self.randomRecord(&random) }
            let maximum = 1200 + random.below(2000)
            let batches = try RecordBatchEncoder(maxMessageBytes: maximum)
                .encode(records, now: 42)
            var decoded: [Record] = []
            var offset: Int64 = 1000
            for encoded in batches {
                #expect(encoded.byteCount <= maximum, "seed \(seed)")
                encoded.assign(baseOffset: offset, epoch: 0)
                var cursor = SegmentCursor(
                    position: 0, nextOffset: offset, chain: BatchChain(value: 0))
                let header = try cursor.next(in: encoded.block.unsafeBytes)
                let batch = RecordBatch(verified: header, MemorySlice(encoded.block))
                let stored = try batch.records()
                #expect(stored.count == encoded.recordCount && stored.count == batch.recordCount)
                #expect(
                    stored.map(\.offset) == Array(offset..<offset + Int64(stored.count)),
                    "seed \(seed)")
                #expect(stored.map(\.timestamp).max() == batch.maxTimestamp)
                #expect(batch.baseOffset == offset && batch.lastOffset == cursor.nextOffset - 1)
                decoded += stored.map(\.record)
                offset = cursor.nextOffset
            }
            let expected = records.map { record in
                var record = record
                record.timestamp = record.timestamp ?? 42
                return record
            }
            #expect(decoded == expected, "seed \(seed)")
        }
    }

    /// Two records, byte by byte as Kafka's protocol guide lays out a batch of version 2.
    @Test func aSmallBatchHasTheBytesOfKafkasFormat() throws {
        let records = [
            Record(key: [0x6B], value: [0x76, 0x31], timestamp: 1000),
            Record(
                value: nil, headers: [RecordHeader(key: "h", value: [0xFF])], timestamp: 1003),
        ]
        let encoded = try RecordBatchEncoder(maxMessageBytes: 1 << 20).encode(records, now: 0)
        try #require(encoded.count == 1)
        encoded[0].assign(baseOffset: 258, epoch: 0)
        let checksummed: [UInt8] = [
            0x00, 0x00,  // attributes
            0x00, 0x00, 0x00, 0x01,  // last offset delta
            0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0xE8,  // base timestamp
            0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0xEB,  // max timestamp
            0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,  // producer id
            0xFF, 0xFF,  // producer epoch
            0xFF, 0xFF, 0xFF, 0xFF,  // base sequence
            0x00, 0x00, 0x00, 0x02,  // record count
            // Record 0: length 9 (zigzag 18), attributes, deltas 0, key of 1, value of 2, no
            // header.
            0x12, 0x00, 0x00, 0x00, 0x02, 0x6B, 0x04, 0x76, 0x31, 0x00,
            // Record 1: length 10, attributes, time delta 3, offset delta 1, no key, no value, one
            // header: name of 1, value of 1.
            0x14, 0x00, 0x06, 0x02, 0x01, 0x01, 0x02, 0x02, 0x68, 0x02, 0xFF,
        ]
        let checksum = bitwiseCRC32C(checksummed)
        let expected: [UInt8] =
            [
                0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02,  // base offset
                0x00, 0x00, 0x00, UInt8(checksummed.count + 9),  // length after this field
                0x00, 0x00, 0x00, 0x00,  // leader epoch
                0x02,  // magic
            ] + (0..<4).map { UInt8(truncatingIfNeeded: checksum >> (24 - 8 * $0)) } + checksummed
        #expect(encoded[0].block.array == expected)
        #expect(try batch(expected).records().map(\.record) == records)
    }

    /// The checksum by its definition, one bit at a time.
    private func bitwiseCRC32C(_ bytes: [UInt8]) -> UInt32 {
        var value = UInt32.max
        for byte in bytes {
            value ^= UInt32(byte)
            for _ in 0..<8 { value = value & 1 == 1 ? (value >> 1) ^ 0x82F6_3B78 : value >> 1 }
        }
        return ~value
    }

    @Test func refusesNoRecordsAndRecordsThatNoBatchHolds() async throws {
        let encoder = RecordBatchEncoder(maxMessageBytes: 200)
        await expectLogError(.emptyBatch) { _ = try encoder.encode([], now: 0) }
        let error = await expectLogError(.recordTooLarge) {
            _ = try encoder.encode(
                [Record("a"), Record(value: [UInt8](repeating: 0, count: 200))], now: 0)
        }
        #expect(error?.message.hasPrefix("record 1 ") == true)
    }

    @Test func splitsExactlyAtTheMaximum() throws {
        let records = (0..<10).map { Record(value: [UInt8($0)], timestamp: 1) }
        let whole = try RecordBatchEncoder(maxMessageBytes: 1 << 20).encode(records, now: 0)
        try #require(whole.count == 1)
        let size = whole[0].byteCount
        #expect(
            try RecordBatchEncoder(maxMessageBytes: size).encode(records, now: 0).map(
                \.recordCount)
                == [10])
        #expect(
            try RecordBatchEncoder(maxMessageBytes: size - 1).encode(records, now: 0)
                .map(\.recordCount) == [9, 1])
    }

    @Test func timesTooFarApartOpenANewBatch() throws {
        let records = [Int64.min, -1, 0, Int64.max].map { Record(value: [1], timestamp: $0) }
        let batches = try RecordBatchEncoder(maxMessageBytes: 1 << 20).encode(records, now: 0)
        #expect(batches.map(\.recordCount) == [2, 2])
    }

    // MARK: Hostile bytes

    private func sample() throws -> [UInt8] {
        let records = [
            Record(key: [1, 2], value: [3], timestamp: 5),
            Record(value: Array("hello".utf8), headers: [RecordHeader(key: "n", value: nil)]),
            Record(key: nil, value: nil, timestamp: -9),
        ]
        let encoded = try RecordBatchEncoder(maxMessageBytes: 1 << 20).encode(records, now: 9)
        return encoded[0].block.array
    }

    private func seal(_ bytes: inout [UInt8]) {
        guard bytes.count >= BatchHeader.checksummedFrom else { return }
        let value = bytes.withUnsafeBytes {
            crc32c(UnsafeRawBufferPointer(rebasing: $0[BatchHeader.checksummedFrom...]))
        }
        for index in 0..<4 {
            bytes[BatchHeader.checksumPosition + index] =
                UInt8(truncatingIfNeeded: value >> (24 - 8 * UInt32(index)))
        }
    }

    /// Decodes as a reader would: never a trap, whatever it says.
    @discardableResult
    private func tryDecode(_ bytes: [UInt8], nextOffset: Int64 = 0) throws -> [StoredRecord]? {
        let block = MemoryBlock(copying: bytes)
        var cursor = SegmentCursor(
            position: 0, nextOffset: nextOffset, chain: BatchChain(value: 0))
        do throws(BatchProblem) {
            let header = try cursor.next(in: block.unsafeBytes)
            let slice = MemorySlice(block, 0..<header.totalByteCount)
            do throws(LogError) {
                return try RecordBatch(verified: header, slice).records()
            } catch {
                let codes: [LogError.Code] = [
                    .malformedRecord, .unsupportedCodec, .malformedCompression,
                ]
                #expect(codes.contains(error.code))
                return nil
            }
        } catch {
            #expect(!error.description.isEmpty)
            return nil
        }
    }

    @Test func everyFlippedByteIsNoticed() throws {
        let good = try sample()
        #expect(try tryDecode(good)?.count == 3)
        for byte in good.indices {
            for mask in [1, 0x80, 0xFF] as [UInt8] {
                var bad = good
                bad[byte] ^= mask
                #expect(try tryDecode(bad) == nil, "byte \(byte), mask \(mask)")
            }
        }
        for count in 0..<good.count {
            #expect(try tryDecode(Array(good[..<count])) == nil, "cut to \(count)")
        }
    }

    /// The checksum is right over bytes that are wrong.
    @Test func mutatedBatchesWithTheRightChecksumNeverTrap() throws {
        let good = try sample()
        for byte in good.indices {
            for value in [0, 1, 0x7F, 0x80, 0xFE, 0xFF] as [UInt8] {
                var bad = good
                bad[byte] = value
                seal(&bad)
                _ = try tryDecode(bad)
            }
        }
        for seed in seeds(3000) {
            var random = SplitMix64(seed: seed)
            var bad = good
            for _ in 0..<1 + random.below(6) {
                bad[random.below(bad.count)] = UInt8(random.below(256))
            }
            bad.removeLast(random.below(8))
            let length = UInt32(bad.count - 12).bigEndian
            withUnsafeBytes(of: length) { bad.replaceSubrange(8..<12, with: $0) }
            bad[16] = 2
            seal(&bad)
            _ = try tryDecode(bad)
        }
    }

    /// Every number in the header at its extremes, with a right checksum.
    @Test func extremeHeaderFieldsNeverTrap() throws {
        let good = try sample()
        let fields = [(0, 8), (8, 4), (12, 4), (21, 2), (23, 4), (27, 8), (35, 8), (57, 4)]
        for (position, width) in fields {
            for value in [Int64.min, -1, 0, 1, 0x7FFF_FFFF, 0x8000_0000, .max] {
                var bad = good
                withUnsafeBytes(of: value.bigEndian) {
                    bad.replaceSubrange(position..<position + width, with: $0.suffix(width))
                }
                seal(&bad)
                let records = try tryDecode(
                    bad, nextOffset: position == 0 && value >= 0 ? value : 0)
                // A count or an offset that the records contradict is never believed.
                if position == 57 { #expect(records == nil || bad == good, "count \(value)") }
            }
        }
        // The last offset would pass the largest number.
        var last = good
        withUnsafeBytes(of: (Int64.max - 1).bigEndian) { last.replaceSubrange(0..<8, with: $0) }
        #expect(try tryDecode(last, nextOffset: .max - 1) == nil)
    }

    @Test func codecsThatKafkaDoesNotNameAreRefused() async throws {
        for codec in 5...7 {
            var bytes = try sample()
            bytes[22] = UInt8(codec)
            seal(&bytes)
            let compressed = try batch(bytes)
            let error = await expectLogError(.unsupportedCodec) { _ = try compressed.records() }
            #expect(error?.message.contains("codec \(codec)") == true)
        }
    }

    /// A producer's clock may be so far from the log's and no further; the log's own needs no limit.
    @Test func timestampsAreLimited() throws {
        var configuration = LogConfiguration()
        configuration.messageTimestampBeforeMaxMilliseconds = 100
        configuration.messageTimestampAfterMaxMilliseconds = 50
        for (stamp, isTaken) in [
            (900, true), (899, false), (1050, true), (1051, false), (.max, false), (.min, false),
        ] as [(Int64, Bool)] {
            let records = [Record(value: [1]), Record(value: [2], timestamp: stamp)]
            let encoder = RecordBatchEncoder(configuration)
            if isTaken {
                #expect(try encoder.encode(records, now: 1000).count == 1, "\(stamp)")
            } else {
                let error = #expect(throws: LogError.self) { try encoder.check(records, now: 1000) }
                #expect(error?.code == .invalidTimestamp, "\(stamp)")
            }
            var append = configuration
            append.messageTimestampType = .logAppendTime
            _ = try RecordBatchEncoder(append).encode(records, now: 1000)
        }
        for now in [Int64.min, .max] {
            _ = try RecordBatchEncoder(configuration).encode([Record(value: [1])], now: now)
        }
        configuration.messageTimestampBeforeMaxMilliseconds = nil
        configuration.messageTimestampAfterMaxMilliseconds = nil
        for stamp in [Int64.min, .max] {
            _ = try RecordBatchEncoder(configuration)
                .encode([Record(value: [1], timestamp: stamp)], now: 1000)
        }
    }
}
