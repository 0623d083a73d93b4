import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodLog

@Suite struct SegmentReaderTests {
    private func reader(
        _ bytes: [UInt8], _ image: SegmentImage, interval: Int, gaps: [Gap] = [],
        index: OffsetIndex? = nil, end: SegmentCursor? = nil
    ) throws -> SegmentReader {
        SegmentReader(
            block: MemoryBlock(copying: bytes), origin: 0,
            index: index ?? image.index(interval: interval), end: end ?? image.end, gaps: gaps,
            rules: .appended,
            path: try logPath())
    }

    /// All that can be read, from the segment's start by following what errors say.
    private func readable(
        _ reader: SegmentReader, _ image: SegmentImage, maximumBytes: Int = 1 << 20
    ) throws -> [StoredRecord] {
        var records: [StoredRecord] = []
        var offset = image.header.baseOffset
        while offset < image.end.nextOffset {
            do {
                let batches = try reader.read(from: offset, maximumBytes: maximumBytes)
                try #require(!batches.isEmpty && batches[0].lastOffset >= offset)
                for batch in batches {
                    records += try batch.records().filter { $0.offset >= offset }
                    offset = batch.lastOffset + 1
                }
            } catch let error as LogError {
                try #require(error.code == .damaged, "\(error)")
                let resume = try #require(error.resumeOffset)
                try #require(resume > offset && resume <= image.end.nextOffset, "\(error)")
                offset = resume
            }
        }
        return records
    }

    @Test(arguments: [64, 300, 1 << 20]) func readsFromEveryOffset(interval: Int) throws {
        let image = try SegmentImage(batches: 12)
        let reader = try reader(image.bytes, image, interval: interval)
        for offset in image.header.baseOffset..<image.end.nextOffset {
            for most in [1, 200, 1 << 20] {
                let batches = try reader.read(from: offset, maximumBytes: most)
                let first = try #require(batches.first)
                #expect(first.baseOffset <= offset && first.lastOffset >= offset)
                for (one, next) in zip(batches, batches.dropFirst()) {
                    #expect(next.baseOffset == one.lastOffset + 1)
                }
            }
        }
        #expect(try readable(reader, image) == image.records)
        #expect(try readable(reader, image, maximumBytes: 1) == image.records)
    }

    /// Nothing wrong is served, and every batch but the damaged one can be read.
    @Test(arguments: [64, 300, 1 << 20]) func everyFlippedByteCostsItsBatchOnly(
        interval: Int
    ) throws {
        let image = try SegmentImage(batches: 7)
        for byte in SegmentHeader.byteCount..<image.bytes.count {
            for mask in [1, 0x80] as [UInt8] {
                var bad = image.bytes
                bad[byte] ^= mask
                let found = try readable(
                    try reader(bad, image, interval: interval), image,
                    maximumBytes: byte % 2 == 0 ? 1 : 1 << 20)
                #expect(
                    found == image.records(without: [image.batch(at: byte)]),
                    "byte \(byte), mask \(mask), batch \(image.batch(at: byte))")
            }
        }
    }

    /// Several damaged places, zeroed or random, by seed: nothing wrong is served, and what lies in
    /// whole intervals without damage is.
    @Test func manyDamagedPlacesNeverServeAnythingWrong() throws {
        let image = try SegmentImage(batches: 20)
        let interval = 200
        for seed in seeds(150) {
            var random = SplitMix64(seed: seed)
            var bad = image.bytes
            for _ in 0..<1 + random.below(4) {
                let start = 4096 + random.below(bad.count - 4096)
                let end = min(bad.count, start + 1 + random.below(random.coin() ? 3 : 150))
                for byte in start..<end {
                    bad[byte] = random.coin() ? 0 : UInt8(random.below(256))
                }
            }
            let changed = bad.indices.filter { bad[$0] != image.bytes[$0] }
            let damaged = Set(changed.map(image.batch(at:)))
            let found = try readable(try reader(bad, image, interval: interval), image)
            let sound = image.records(without: damaged)
            #expect(found.allSatisfy(sound.contains), "seed \(seed)")
            // An interval without damage is served whole.
            let index = image.index(interval: interval)
            let starts = index.entries.map { Int($0.position) } + [image.end.position]
            for (start, end) in zip(starts, starts.dropFirst()) {
                let batches = image.places.indices.dropLast().filter {
                    (start..<end).contains(image.places[$0].position)
                }
                guard damaged.isDisjoint(with: batches) else { continue }
                for batch in batches {
                    #expect(
                        found.contains { $0.offset == image.places[batch].nextOffset },
                        "seed \(seed), batch \(batch)")
                }
            }
        }
    }

    /// A value may hold a batch that is sound by itself; damage around it must not let it out.
    @Test func aBatchInsideAValueIsNeverServed() throws {
        for shift in 0..<2 {
            var image = try SegmentImage(batches: 3)
            let inner = try RecordBatchEncoder(maxMessageBytes: 1 << 20)
                .encode([Record("forged")], now: 0)[0]
            inner.assign(baseOffset: image.end.nextOffset + Int64(shift), epoch: 0)
            try image.append([Record(value: inner.block.array)])
            try image.append([Record("behind")])
            let outer = image.places[3].position
            for byte in outer..<outer + BatchHeader.byteCount {
                var bad = image.bytes
                bad[byte] ^= 0x21
                let found = try readable(try reader(bad, image, interval: 1 << 20), image)
                #expect(found == image.records(without: [3]), "byte \(byte)")
            }
        }
    }

    /// Sound batches of another history, with right checksums and offsets, are not what was
    /// written.
    @Test func theChainNoticesASwappedBatch() throws {
        let image = try SegmentImage(batches: 6)
        var other = SegmentImage()
        for number in 0..<6 {
            try other.append(
                (0...number % 3).map { _ in
                    Record(
                        key: [UInt8(number)], value: [UInt8](repeating: 9, count: 10), timestamp: 1)
                })
        }
        #expect(other.places.map(\.position) == image.places.map(\.position))
        var bad = image.bytes
        let range = image.places[2].position..<image.places[3].position
        bad.replaceSubrange(range, with: other.bytes[range])
        for interval in [64, 300, 1 << 20] {
            let found = try readable(try reader(bad, image, interval: interval), image)
            #expect(!found.contains { $0.value?.first == 9 }, "interval \(interval)")
            #expect(found.allSatisfy(image.records.contains))
        }
        #expect(
            try readable(try reader(bad, image, interval: 64), image)
                == image.records(without: [2]))
    }

    @Test func quarantinedRangesAreSteppedAround() throws {
        let image = try SegmentImage(batches: 6)
        let gap = Gap(
            positions: image.places[2].position..<image.places[4].position,
            offsets: image.places[2].nextOffset..<image.places[4].nextOffset)
        var bad = image.bytes
        for byte in gap.positions { bad[byte] = 0 }
        let (index, end) = OffsetIndex.rebuild(
            from: MemoryBlock(copying: bad), header: image.header, end: image.end, gaps: [gap],
            rules: .appended,
            interval: 64)
        let reader = try reader(bad, image, interval: 64, gaps: [gap], index: index, end: end)
        #expect(try readable(reader, image) == image.records(without: [2, 3]))
        for offset in gap.offsets {
            let error = #expect(throws: LogError.self) {
                _ = try reader.read(from: offset, maximumBytes: 1)
            }
            #expect(error?.resumeOffset == gap.offsets.upperBound)
        }
    }

    @Test func aRebuiltIndexIsTheOneThatWasKept() throws {
        let image = try SegmentImage(batches: 20)
        for interval in [64, 200, 1000] {
            let (index, end) = OffsetIndex.rebuild(
                from: MemoryBlock(copying: image.bytes), header: image.header, end: image.end,
                gaps: [], rules: .appended, interval: interval)
            #expect(index.entries == image.index(interval: interval).entries)
            #expect(end == image.end)
        }
    }

    /// The index is lost and a batch is damaged: everything else can still be read.
    @Test func aSegmentWithDamageAndALostIndexIsReadAround() throws {
        let image = try SegmentImage(batches: 7)
        for byte in SegmentHeader.byteCount..<image.bytes.count {
            var bad = image.bytes
            bad[byte] ^= 2
            let (index, end) = OffsetIndex.rebuild(
                from: MemoryBlock(copying: bad), header: image.header, end: image.end, gaps: [],
                rules: .appended,
                interval: 200)
            let found = try readable(
                try reader(bad, image, interval: 0, index: index, end: end), image)
            #expect(found == image.records(without: [image.batch(at: byte)]), "byte \(byte)")
        }
    }
}
