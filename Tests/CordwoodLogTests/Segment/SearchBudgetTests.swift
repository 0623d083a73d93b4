import CordwoodStorage
import Testing

@testable import CordwoodLog

/// Bytes that were made to make a search long.
@Suite struct SearchBudgetTests {
    @Test func workIsTakenUntilNoneIsLeft() {
        var budget = SearchBudget(for: 0)
        var steps: [Bool] = []
        for byteCount in [60 << 20, 1, Int.max, 0] { steps.append(budget.spend(byteCount)) }
        #expect(steps == [true, true, false, false])
        let isSpent = budget.isSpent
        #expect(isSpent)
        budget = SearchBudget(for: .max)
        let goesOn = budget.spend(1 << 62)
        #expect(goesOn)
    }

    /// Headers of batches, one behind the other, each of which claims all that follows.
    private func deception(_ count: Int, then batch: [UInt8]) -> [UInt8] {
        let total = count * BatchHeader.byteCount + batch.count
        var bytes: [UInt8] = []
        for number in 0..<count {
            var writer = ByteWriter(count: BatchHeader.byteCount)
            writer.bigEndian(Int64(7))
            writer.bigEndian(
                Int32(total - number * BatchHeader.byteCount - BatchHeader.lengthPrefixBytes))
            writer.bigEndian(Int32(0))
            writer.bigEndian(BatchHeader.currentMagic)
            writer.zeros(BatchHeader.byteCount - writer.position)
            bytes += writer.finish().array
        }
        return bytes + batch
    }

    /// Whether the sound batch behind so many headers that lie is found.
    private func findsBatch(behind count: Int) throws -> Bool {
        let batch = try RecordBatchEncoder(maxMessageBytes: 1 << 20).encode(
            [Record("sound")], now: 0)[0]
        batch.assign(baseOffset: 7, epoch: 0)
        let bytes = deception(count, then: batch.block.array)
        let place = SegmentCursor(position: 4096, nextOffset: 5, chain: BatchChain(value: 1))
        return bytes.withUnsafeBytes {
            place.survivor(
                in: $0, before: Landmark(position: 4096 + $0.count, nextOffset: 8),
                rules: .appended)
        }?.place.position == 4096 + count * BatchHeader.byteCount
    }

    @Test func aSearchThroughHeadersThatLieEnds() throws {
        #expect(try findsBatch(behind: 100))
        // Half of 100,000² x 61 bytes to be summed, without a bound.
        #expect(try !findsBatch(behind: 100_000))
    }

    @Test func aManifestOfEditsThatLieIsRefused() throws {
        // At every fourth byte an edit of 65,536 bytes.
        let bytes = (0..<2 << 20).map { $0 % 4 == 2 ? 1 : 0 as UInt8 }
        bytes.withUnsafeBytes {
            #expect(EditFrame.mayHaveLaterGroup($0, behind: 32, sequence: 0))
            let inspection = EditLogInspection(
                $0, kind: .segments, path: StoragePath.root)
            #expect(!inspection.damage.isEmpty && inspection.edits.isEmpty)
        }
        [UInt8](repeating: 0, count: 100_000).withUnsafeBytes {
            #expect(!EditFrame.mayHaveLaterGroup($0, behind: 32, sequence: 0))
        }
    }
}
