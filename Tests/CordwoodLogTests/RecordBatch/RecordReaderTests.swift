import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodLog

@Suite struct RecordReaderTests {
    private func batch(_ bytes: [UInt8]) throws -> RecordBatch {
        let block = MemoryBlock(copying: bytes)
        let header = try #require(BatchHeader(block.unsafeBytes))
        return RecordBatch(verified: header, MemorySlice(block))
    }

    private func encoded(_ records: [Record], _ type: CompressionType) throws -> [UInt8] {
        let batches = try RecordBatchEncoder(maxMessageBytes: 1 << 20, compressionType: type)
            .encode(records, now: 5)
        batches[0].assign(baseOffset: 40, epoch: 0)
        return batches[0].block.array
    }

    /// The records up to the end, or up to what does not parse.
    private func read(_ batch: RecordBatch) throws(LogError) -> ([StoredRecord], LogError?) {
        var reader = try RecordReader(batch)
        var found: [StoredRecord] = []
        do throws(LogError) {
            while let record = try reader.next() { found.append(record) }
            // Behind the end it stays at the end.
            #expect(try reader.next() == nil)
            return (found, nil)
        } catch {
            let failure = error
            var again: LogError?
            do throws(LogError) { _ = try reader.next() } catch { again = error }
            #expect(again?.message == failure.message)
            return (found, failure)
        }
    }

    @Test(arguments: compressionTypes) func handsOutWhatTheBatchHolds(
        type: CompressionType
    ) throws {
        for seed in seeds(20) {
            var random = SplitMix64(seed: seed)
            let records = (0..<1 + random.below(40)).map { _ in
                RecordBatchTests.randomRecord(&random)
            }
            let batch = try batch(encoded(records, type))
            let (found, failure) = try read(batch)
            #expect(failure == nil)
            #expect(found == (try batch.records()), "seed \(seed)")
        }
    }

    @Test func recordsBeforeOneThatDoesNotParseAreHandedOut() throws {
        let records = (0..<5).map { Record(value: [UInt8($0), 1, 2]) }
        let good = try encoded(records, .uncompressed)
        let whole = try batch(good).records()
        for at in BatchHeader.byteCount..<good.count {
            var bad = good
            bad[at] ^= 0xFF
            let (found, failure) = try read(try batch(bad))
            #expect(failure == nil || failure?.code == .malformedRecord)
            let number = (at - BatchHeader.byteCount) * 5 / (good.count - BatchHeader.byteCount)
            #expect(found.prefix(number) == whole.prefix(number))
        }
        let (found, failure) = try read(try batch(good + [0]))
        #expect(found == whole && failure?.message.contains("1 bytes after") == true)
    }

    /// Some thousand bytes that hold millions of records: they are not all made at once.
    @Test func aBombOfRecordsIsReadOneByOne() async throws {
        let count = 400_000
        var writer = ByteWriter(count: count * 12)
        for delta in 0..<count {
            let body = 6 + ByteWriter.varintCount(Int64(delta)) - 1
            writer.varint(Int64(body))
            writer.bigEndian(Int8(0))
            writer.varint(0)
            writer.varint(Int64(delta))
            writer.varint(-1)
            writer.varint(-1)
            writer.varint(0)
        }
        let plain = Array(writer.block.array[..<writer.position])
        let small = CompressionType.zstd().compressed(plain)
        var bytes = Array(try encoded([Record("")], .uncompressed)[..<BatchHeader.byteCount])
        bytes[22] = Codec.zstd.rawValue
        for place in [23, 57] {
            let number = Int32(place == 23 ? count - 1 : count)
            withUnsafeBytes(of: number.bigEndian) {
                bytes.replaceSubrange(place..<place + 4, with: $0)
            }
        }
        var reader = try RecordReader(try batch(bytes + small))
        for offset in 40..<50 as Range<Int64> { #expect(try reader.next()?.offset == offset) }
        #expect(small.count * 4 < plain.count)
    }
}
