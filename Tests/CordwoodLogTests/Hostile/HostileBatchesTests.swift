import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodLog

/// Batches whose checksums are right and whose insides are not, as a producer may send them: the log
/// keeps them as they are, and whoever looks inside gets an error, never a trap or a hang.
@Suite(.timeLimit(.minutes(30))) struct HostileBatchesTests {
    private static let numbers: [Int64] = [
        0, 1, -1, 2, .min, .max, .max - 1, Int64(Int32.max), Int64(Int32.min), 1 << 40,
    ]

    private static func number(_ random: inout SplitMix64) -> Int64 {
        numbers[random.below(numbers.count)]
    }

    /// A batch of a few records with some fields and bytes that say anything.
    private static func batch(_ random: inout SplitMix64) throws -> EncodedBatch {
        let codec = Codec.allCases[random.below(Codec.allCases.count)]
        let records = (0..<1 + random.below(6)).map { _ in
            Record(
                key: [UInt8(random.below(5))],
                value: random.below(4) == 0 ? nil : [UInt8](repeating: 7, count: random.below(90)),
                headers: [RecordHeader(key: "h", value: [1])], timestamp: Int64(random.below(99)))
        }
        let good = try RecordBatchEncoder(
            maxMessageBytes: 900, compressionType: codec.defaultType
        ).encode(records, now: 5)[0]
        var header = try #require(BatchHeader(good.block.unsafeBytes))
        var bytes = Array(good.block.array[BatchHeader.byteCount...])
        for _ in 0..<random.below(4) where !bytes.isEmpty {
            bytes[random.below(bytes.count)] = UInt8(random.below(256))
        }
        if random.below(6) == 0 { bytes.removeLast(random.below(bytes.count)) }
        switch random.below(8) {
        case 0: header.baseTimestamp = number(&random)
        case 1: header.maxTimestamp = number(&random)
        case 2:
            header.attributes = Int16(random.below(128))
        case 3:
            header.recordCount = Int32(random.below(Int(header.recordCount) + 1))
        case 4:
            header.lastOffsetDelta += Int32(random.below(1000))
        case 5:
            header.lastOffsetDelta = 999
            header.recordCount = 1000
        default: break
        }
        header.batchLength = Int32(
            BatchHeader.byteCount - BatchHeader.lengthPrefixBytes + bytes.count)
        var writer = ByteWriter(count: BatchHeader.byteCount + bytes.count)
        header.write(to: &writer)
        writer.bytes(bytes)
        let batch = EncodedBatch(
            block: writer.finish(), recordCount: Int(header.lastOffsetDelta) + 1)
        batch.seal()
        return batch
    }

    @Test func whateverABatchSaysTheLogGoesOn() async throws {
        var configuration = LogConfiguration.smallWithoutTail
        configuration.cleanupPolicy = [.compact, .delete]
        for seed in seeds(20) {
            var random = SplitMix64(seed: seed)
            let storage = SimulatedStorage(seed: seed)
            var log = try await openLog(on: storage, configuration)
            var expected: Int64 = 0
            for _ in 0..<25 {
                let batch = try Self.batch(&random)
                let offsets = try await log.append([batch], acknowledge: .durable)
                #expect(offsets.lowerBound == expected)
                expected = offsets.upperBound
            }
            try await look(log, "seed \(seed)")
            // Compaction keeps what it cannot read.
            _ = try await log.compact(force: true)
            try await look(log, "seed \(seed), compacted")
            if random.coin() { try await log.close() } else { storage.crash(.keepAll) }
            log = try await openLog(on: storage, configuration)
            #expect(log.endOffset == expected && log.recovery.quarantined.isEmpty)
            try await look(log, "seed \(seed), reopened")
            try await log.truncate(to: expected / 2)
            _ = try await log.applyRetention(now: .max)
            try await look(log, "seed \(seed), cut")
        }
    }

    private func look(_ log: SimulatedLog, _ context: Comment) async throws {
        // An index that a truncation has cut short is made anew; no offset is lost by it.
        let damage = try await log.verify().damage
        #expect(damage.allSatisfy { $0.offsets.isEmpty }, context)
        for isolation in Isolation.allCases {
            var batches = BatchSequence(
                log, from: log.startOffset, following: false, isolation: isolation
            ).makeAsyncIterator()
            while let batch = try await batches.next() {
                do throws(LogError) {
                    #expect(try batch.records().count == batch.recordCount)
                } catch {
                    #expect(
                        [.malformedRecord, .malformedCompression, .unsupportedCodec]
                            .contains(error.code), "\(error)")
                }
            }
        }
        for query in [
            TimestampQuery.earliest, .latest, .maxTimestamp, .atOrAfter(.min), .atOrAfter(50),
            .atOrAfter(.max),
        ] {
            do throws(LogError) { _ = try await log.offset(for: query) } catch {
                #expect(
                    [.malformedRecord, .malformedCompression, .unsupportedCodec]
                        .contains(error.code), "\(error)")
            }
        }
        _ = try await log.abortedTransactions(in: log.startOffset..<log.endOffset)
    }
}
