import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodLog

@Suite struct OffsetIndexTests {
    /// Against a search from the front.
    @Test func floorFindsTheLastEntryAtOrBeforeAnOffset() {
        for seed in seeds(100) {
            var random = SplitMix64(seed: seed)
            let base = Int64(random.below(1000))
            var index = OffsetIndex(baseOffset: base)
            var cursor = SegmentCursor(
                position: 4096, nextOffset: base + Int64(random.below(3)),
                chain: BatchChain(value: 1))
            var offsets: [Int64] = []
            for _ in 0..<random.below(40) {
                index.append(cursor)
                offsets.append(cursor.nextOffset)
                cursor.position += 1 + random.below(500)
                cursor.nextOffset += Int64(1 + random.below(5))
            }
            for offset in base - 2...base + 220 {
                #expect(
                    index.floor(offset) == offsets.lastIndex { $0 <= offset },
                    "seed \(seed), offset \(offset)")
            }
        }
    }

    @Test func entriesKeepTheirDistance() {
        var index = OffsetIndex(baseOffset: 0)
        for number in 0..<100 {
            index.note(
                SegmentCursor(
                    position: 4096 + number * 30, nextOffset: Int64(number),
                    chain: BatchChain(value: 0)), interval: 100)
        }
        let positions = index.entries.prefix(3).map { Int($0.position) }
        #expect(positions == [4096, 4216, 4336])
        let last = index.entries.count
        index.removeAll(behind: 4336)
        #expect(index.entries.count == 3 && last > 3)
        index.removeAll(behind: 4335)
        #expect(index.entries.count == 2)
    }

    @Test func entriesOutOfOrderAreRefused() {
        var index = OffsetIndex(baseOffset: 0)
        func entry(_ offset: UInt32, _ position: UInt32) -> OffsetIndex.Entry {
            .init(relativeOffset: offset, position: position, chain: 0)
        }
        let isBelowHeader = !index.append(read: entry(0, 4095))
        #expect(isBelowHeader)
        for (offset, position, isTaken) in [
            (0, 4096, true), (0, 4196, false), (1, 4096, false), (1, 4097, true), (0, 5000, false),
        ] as [(UInt32, UInt32, Bool)] {
            let wasTaken = index.append(read: entry(offset, position))
            #expect(wasTaken == isTaken, "\(offset), \(position)")
        }
    }

    /// Offsets in a foreign file may lie anywhere.
    @Test func placesBeyondThirtyTwoBitsAreLeftOut() {
        var index = OffsetIndex(baseOffset: 5)
        let chain = BatchChain(value: 0)
        index.append(SegmentCursor(position: 4096, nextOffset: 5 + (1 << 32), chain: chain))
        index.append(SegmentCursor(position: 1 << 32, nextOffset: 5, chain: chain))
        index.append(SegmentCursor(position: 4096, nextOffset: 4, chain: chain))
        #expect(index.entries.isEmpty)
    }
}
