import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodLog

@Suite struct TimeIndexTests {
    /// A segment whose batches have any timestamps, with its indexes as appending makes them.
    private struct Sample {
        var image = SegmentImage()
        var offsets: OffsetIndex
        var times: TimeIndex
        /// The place and the largest timestamp of each batch.
        var batches: [(offset: Int64, timestamp: Int64)] = []

        init(_ random: inout SplitMix64, interval: Int = 200) throws {
            let base = image.header.baseOffset
            offsets = OffsetIndex(baseOffset: base)
            offsets.append(image.end)
            times = TimeIndex(following: offsets)
            for _ in 0..<random.below(60) {
                let stamps = (0..<1 + random.below(3)).map { _ in Int64(random.below(500)) }
                let place = image.end
                try image.append(stamps.map { Record(value: [1, 2, 3], timestamp: $0) })
                offsets.note(place, interval: interval)
                times.absorb(maxTimestamp: stamps.max()!, following: offsets)
                batches.append((place.nextOffset, stamps.max()!))
            }
            times.follow(offsets)
        }
    }

    /// Against a search from the front.
    @Test func lookupsAgreeWithASearch() throws {
        for seed in seeds(60) {
            var random = SplitMix64(seed: seed)
            let sample = try Sample(&random)
            let times = sample.times
            #expect(times.entries.count == sample.offsets.entries.count)
            for timestamp in Int64(-2)...502 {
                let first = sample.batches.first { $0.timestamp >= timestamp }?.offset
                let floor = times.floor(timestamp)
                let last = sample.batches.last?.offset ?? sample.image.header.baseOffset
                #expect(floor <= first ?? last, "seed \(seed), \(timestamp)")
                // No more than an interval is walked: the next entry is behind what is searched.
                if timestamp >= 0, let first,
                    let next = times.entries.first(where: { $0.timestamp >= timestamp })
                {
                    #expect(first < times.baseOffset + Int64(next.relativeOffset), "seed \(seed)")
                }
            }
            for offset in times.baseOffset - 1...sample.image.end.nextOffset + 1 {
                guard let entry = times.entry(before: offset) else {
                    #expect(offset < times.baseOffset)
                    continue
                }
                #expect(entry.offset <= offset)
                let before = sample.batches.filter { $0.offset < entry.offset }.map(\.timestamp)
                #expect(entry.maxTimestamp == before.max() ?? -1, "seed \(seed), \(offset)")
            }
        }
    }

    /// However much of it was lost, it becomes what it was.
    @Test func isMadeAnewFromTheSegment() throws {
        for seed in seeds(60) {
            var random = SplitMix64(seed: seed)
            let sample = try Sample(&random)
            for kept in 0...sample.times.entries.count {
                var times = sample.times
                times.keep(kept, of: sample.offsets)
                #expect(times.entries.count == kept)
                sample.image.bytes.withUnsafeBytes {
                    times.extend(
                        through: $0, along: sample.offsets, to: sample.image.end, rules: .appended)
                }
                #expect(times.entries == sample.times.entries, "seed \(seed), \(kept) kept")
                #expect(times.maxTimestamp == sample.batches.map(\.timestamp).max() ?? -1)
            }
        }
    }

    /// Entries of another segment, or of an earlier life of this one, are not kept.
    @Test func entriesThatDisagreeWithTheOffsetIndexAreNotKept() throws {
        var random = SplitMix64(seed: 3)
        var sample = try Sample(&random)
        while sample.offsets.entries.count < 6 { sample = try Sample(&random) }
        var times = TimeIndex(baseOffset: sample.times.baseOffset)
        for (number, entry) in sample.times.entries.enumerated() {
            var entry = entry
            if number >= 3 { entry.relativeOffset += 1 }
            _ = times.append(read: entry)
        }
        times.keep(.max, of: sample.offsets)
        #expect(times.entries == Array(sample.times.entries[..<3]))
        #expect(times.maxTimestamp == sample.times.entries[2].timestamp)
    }

    /// A damaged batch ends its interval; the index goes on at the next entry.
    @Test func damageHidesNothingBehindIt() throws {
        var random = SplitMix64(seed: 5)
        var sample = try Sample(&random)
        while sample.batches.count < 40 { sample = try Sample(&random) }
        for damaged in sample.batches.indices {
            var bytes = sample.image.bytes
            bytes[sample.image.places[damaged].position + 30] ^= 1
            var times = TimeIndex(baseOffset: sample.times.baseOffset)
            bytes.withUnsafeBytes {
                times.extend(
                    through: $0, along: sample.offsets, to: sample.image.end, rules: .appended)
            }
            #expect(times.entries.count == sample.offsets.entries.count)
            for (found, whole) in zip(times.entries, sample.times.entries) {
                #expect(found.relativeOffset == whole.relativeOffset)
                #expect(found.timestamp <= whole.timestamp)
            }
        }
    }

    /// Recovery cuts the file at the end while it is still mapped; a length may lead beyond.
    @Test func nothingBehindTheEndIsTouched() throws {
        var image = SegmentImage()
        for time in 1...3 as ClosedRange<Int64> {
            try image.append([Record(value: [1, 2, 3], timestamp: time)])
        }
        var end = image.end
        end.position -= 10
        var times = TimeIndex(baseOffset: image.header.baseOffset)
        image.bytes.withUnsafeBytes {
            times.extend(
                through: $0, along: image.index(interval: 1 << 20), to: end, rules: .appended)
        }
        #expect(times.maxTimestamp == 2)
    }

    @Test func entriesOutOfOrderAreRefused() {
        for (timestamp, offset, isTaken) in [
            (-2, 1, false), (5, 0, false), (4, 1, false), (5, 1, true), (6, 1, true),
            (.max, .max, true),
        ] as [(Int64, UInt32, Bool)] {
            var index = TimeIndex(baseOffset: 0)
            _ = index.append(read: .init(timestamp: 5, relativeOffset: 0))
            let wasTaken = index.append(read: .init(timestamp: timestamp, relativeOffset: offset))
            #expect(wasTaken == isTaken, "\(timestamp), \(offset)")
        }
    }
}
