import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodLog

/// Taking records out of a batch changes nothing else.
@Suite struct BatchFilterTests {
    @Test func survivorsKeepAllTheyHad() throws {
        for seed in seeds(300) {
            var random = SplitMix64(seed: seed)
            let batch = try KeyedBatch(random: &random, baseOffset: Int64(random.below(1000)))
            let kept = Set(batch.records.map(\.offset).filter { _ in random.below(3) > 0 })
            let horizon: Int64? = random.coin() ? Int64(random.below(1 << 40)) : nil
            var options = BatchFilter.Options()
            options.keepsEmpty = random.coin()
            options.horizon = horizon
            var filter = BatchFilter()
            let outcome = batch.filter(&filter, options) { kept.contains($0) }
            let expected = batch.records.filter { kept.contains($0.offset) }
            let context: Comment = "seed \(seed)"
            let hasTombstone = expected.contains { $0.value == nil }
            switch outcome {
            case .opaque: Issue.record("opaque; \(context.rawValue)")
            case .dropped:
                #expect(expected.isEmpty && !options.keepsEmpty, context)
            case .unchanged:
                #expect(expected == batch.records, context)
                #expect(horizon == nil || !hasTombstone, context)
            case .rewritten(let block):
                let found = try KeyedBatch(block)
                #expect(found.records == expected, context)
                expectSamePlace(found.header, batch.header, context)
                #expect(found.header.recordCount == Int32(expected.count))
                let newest = expected.map(\.timestamp).max() ?? batch.header.maxTimestamp
                #expect(found.header.maxTimestamp == newest, context)
                let isStamped = horizon != nil && hasTombstone
                #expect(found.header.deleteHorizon == (isStamped ? horizon : nil), context)
                if !isStamped, !expected.isEmpty {
                    #expect(found.header.baseTimestamp == batch.header.baseTimestamp, context)
                }
                #expect(expected.count < batch.records.count || isStamped, context)
                #expect(!expected.isEmpty || options.keepsEmpty, context)
            }
        }
    }

    /// The horizon is written once: a later pass keeps the first one.
    @Test func theFirstHorizonStays() throws {
        let batch = try KeyedBatch(
            [
                Record(key: [1], value: nil, timestamp: 50),
                Record(key: [2], value: [3], timestamp: 7),
            ], baseOffset: 9)
        var filter = BatchFilter()
        var options = BatchFilter.Options()
        options.horizon = 1000
        guard case .rewritten(let block) = batch.filter(&filter, options, { _ in true }) else {
            Issue.record("expected a stamp")
            return
        }
        let stamped = try KeyedBatch(block)
        #expect(stamped.records == batch.records)
        #expect(stamped.header.deleteHorizon == 1000)
        options.horizon = 2000
        guard case .unchanged = stamped.filter(&filter, options, { _ in true }) else {
            Issue.record("expected no second stamp")
            return
        }
        guard case .rewritten(let rest) = stamped.filter(&filter, options, { $0 == 9 }) else {
            Issue.record("expected a batch without its second record")
            return
        }
        #expect(try KeyedBatch(rest).header.deleteHorizon == 1000)
        #expect(try KeyedBatch(rest).records == Array(batch.records.prefix(1)))
    }

    /// Timestamps that no difference can express are left as they are.
    @Test func timestampsTooFarFromTheHorizonAreNotStamped() throws {
        let batch = try KeyedBatch([Record(key: [1], value: nil, timestamp: .min)], baseOffset: 0)
        var filter = BatchFilter()
        var options = BatchFilter.Options()
        options.horizon = 1000
        guard case .unchanged = batch.filter(&filter, options, { _ in true }) else {
            Issue.record("expected the batch as it was")
            return
        }
    }

    /// Any bytes between the header and the end, under a CRC that holds, end in an outcome.
    @Test func hostileRecordsAreOpaqueOrParsed() throws {
        for seed in seeds(400) {
            var random = SplitMix64(seed: seed)
            let batch = try KeyedBatch(random: &random, baseOffset: 5)
            let copy = MemoryBlock(count: batch.block.count)
            let bytes = copy.unsafeMutableBytes
            bytes.copyMemory(from: batch.block.unsafeBytes)
            for _ in 0..<1 + random.below(4) {
                let place =
                    BatchHeader.byteCount + random.below(bytes.count - BatchHeader.byteCount)
                bytes[place] = UInt8(truncatingIfNeeded: random.next())
            }
            if random.coin() {
                bytes.storeBytes(
                    of: Int32.max.bigEndian, toByteOffset: BatchHeader.byteCount - 4, as: Int32.self
                )
            }
            let header = try #require(BatchHeader(copy.unsafeBytes))
            var filter = BatchFilter()
            var options = BatchFilter.Options()
            options.horizon = random.coin() ? .max : 0
            let outcome = filter.filter(copy.unsafeBytes, header, options) { record, bytes in
                #expect(record.range.upperBound <= bytes.count)
                #expect(record.key.map { $0.upperBound <= record.range.upperBound } ?? true)
                return random.coin()
            }
            if case .rewritten(let block) = outcome {
                var cursor = SegmentCursor(
                    position: 0, nextOffset: header.baseOffset, chain: BatchChain(value: 0))
                #expect(throws: Never.self) { _ = try cursor.next(in: block.unsafeBytes) }
            }
        }
    }

    private func expectSamePlace(_ a: BatchHeader, _ b: BatchHeader, _ context: Comment) {
        #expect(a.baseOffset == b.baseOffset, context)
        #expect(a.lastOffsetDelta == b.lastOffsetDelta, context)
        #expect(a.partitionLeaderEpoch == b.partitionLeaderEpoch, context)
        #expect(a.producerID == b.producerID, context)
        #expect(a.producerEpoch == b.producerEpoch, context)
        #expect(a.baseSequence == b.baseSequence, context)
        let flags = ~(BatchHeader.deleteHorizonFlag | BatchHeader.codecMask)
        #expect(a.attributes & flags == b.attributes & flags, context)
    }
}
