import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodLog

@Suite struct TailTests {
    private func batches(_ sizes: [Int]) throws -> [RecordBatch] {
        var offset: Int64 = 0
        return try sizes.map { size in
            let encoded = try RecordBatchEncoder(maxMessageBytes: 1 << 20).encode(
                (0..<1 + size % 3).map { _ in Record(value: [UInt8](repeating: 1, count: size)) },
                now: 0)[0]
            encoded.assign(baseOffset: offset, epoch: 0)
            offset += Int64(encoded.recordCount)
            return RecordBatch(
                verified: try #require(BatchHeader(encoded.block.unsafeBytes)),
                MemorySlice(encoded.block))
        }
    }

    @Test func oneReadTakesABoundedNumberOfBatches() throws {
        var tail = Tail(maximumBytes: 1 << 20)
        for batch in try batches([Int](repeating: 0, count: 1500)) { tail.append(batch) }
        #expect(tail.read(from: 3, maximumBytes: 1 << 20)?.count == Tail.maximumBatches)
    }

    /// Against a plain array.
    @Test func holdsTheNewestBatchesWithinItsBound() throws {
        for seed in seeds(30) {
            var random = SplitMix64(seed: seed)
            let all = try batches((0..<60).map { _ in random.below(100) })
            let bound = random.below(3000)
            let most = 1 + random.below(500)
            var tail = Tail(maximumBytes: bound)
            for count in 1...all.count {
                tail.append(all[count - 1])
                var kept: [RecordBatch] = []
                for batch in all[..<count].reversed() {
                    if kept.reduce(batch.byteCount, { $0 + $1.byteCount }) > bound { break }
                    kept.insert(batch, at: 0)
                }
                for offset in 0...all[count - 1].lastOffset {
                    var expected: [RecordBatch]?
                    if let first = kept.first, first.baseOffset <= offset {
                        var result: [RecordBatch] = []
                        for batch in kept where batch.lastOffset >= offset {
                            let bytes = result.reduce(batch.byteCount) { $0 + $1.byteCount }
                            if !result.isEmpty && bytes > most { break }
                            result.append(batch)
                        }
                        expected = result
                    }
                    let found = tail.read(from: offset, maximumBytes: most)
                    #expect(
                        found?.map(\.baseOffset) == expected?.map(\.baseOffset),
                        "seed \(seed), offset \(offset)")
                }
            }
        }
    }
}
