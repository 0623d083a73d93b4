import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodLog

/// Compaction of a whole log.
@Suite(.timeLimit(.minutes(30))) struct CompactionTests {
    /// Random lives: appends, rolls, passes with maps that are too small, time, reopening.
    @Test func theLatestOfEachKeySurvives() async throws {
        for seed in seeds(30) {
            var random = SplitMix64(seed: seed)
            let storage = SimulatedStorage(seed: seed)
            var configuration = LogConfiguration.smallCompacted
            configuration.deleteRetentionMilliseconds = 5000
            configuration.segmentBytes =
                SegmentHeader.byteCount + [1100, 2048, 6000][random.below(3)]
            configuration.indexIntervalBytes = [64, 300][random.below(2)]
            var oracle = KeyedOracle()
            var log = try await openLog(on: storage, configuration)
            let keys = 1 + random.below(40)
            for step in 0..<12 {
                let context: Comment = "seed \(seed), step \(step)"
                let went = await oracle.append(
                    to: log, appends: random.below(20), keys: keys, &random)
                #expect(went, context)
                storage.simulatedClock.advance(milliseconds: Int64(random.below(4000)))
                if random.below(3) == 0 { try await log.roll() }
                let options = CompactionOptions.small(
                    mapBytes: [48, 120, 480, 1 << 16][random.below(4)],
                    stepBytes: [1, 700, 1 << 20][random.below(3)])
                let report = try await log.compact(force: random.coin(), options: options)
                if let report {
                    #expect(report.keys * 24 <= max(48, options.mapBytes), context)
                    #expect(report.passedOverSegments == 0, context)
                }
                try await oracle.check(log, context, report: report)
                if random.below(4) == 0 {
                    try await log.close()
                    log = try await openLog(on: storage, configuration)
                    try await oracle.check(log, context, reopened: true, report: report)
                }
            }
            try await log.close()
        }
    }

    /// Passes with a map of one key after another come to the end.
    @Test func partialPassesComeToTheEnd() async throws {
        var random = SplitMix64(seed: 1)
        let storage = SimulatedStorage(seed: 1)
        var oracle = KeyedOracle()
        let log = try await openLog(on: storage, .smallCompacted)
        _ = await oracle.append(to: log, appends: 60, keys: 10, &random)
        try await log.roll()
        var passes = 0
        var cleaned: Int64 = 0
        while let report = try await log.compact(options: .small(mapBytes: 100)) {
            passes += 1
            #expect(report.cleanedUpTo > cleaned)
            cleaned = report.cleanedUpTo
            try await oracle.check(log, "pass \(passes)", report: report)
        }
        #expect(passes > 5)
        #expect(cleaned == log.endOffset)
        #expect(await log.cleanableBytes == 0)
        #expect(try await log.all().count == 10)
        try await log.close()
    }

    /// A tombstone stays for its grace, and then goes.
    @Test func tombstonesGoAfterTheirGrace() async throws {
        let storage = SimulatedStorage(seed: 2)
        var configuration = LogConfiguration.smallCompacted
        configuration.deleteRetentionMilliseconds = 1000
        let log = try await openLog(on: storage, configuration)
        _ = try await log.append([Record("value", key: "a"), Record("value", key: "b")])
        _ = try await log.append([Record(key: Array("a".utf8), value: nil)])
        try await log.roll()
        _ = try await log.append([Record("last", key: "c")])
        try await log.compact()
        #expect(try await log.all().map(\.offset) == [1, 2, 3])
        storage.simulatedClock.advance(milliseconds: 999)
        #expect(try await log.compact() == nil)
        try await log.compact(force: true)
        #expect(try await log.all().map(\.offset) == [1, 2, 3])
        storage.simulatedClock.advance(milliseconds: 1)
        try await log.compact(force: true)
        #expect(try await log.all().map(\.offset) == [1, 3])
        #expect(try await log.verify().isSound)
        try await log.close()
    }

    /// A compacted log takes no record without a key, and one that is not compacted is not touched.
    @Test func keysAreRequired() async throws {
        let storage = SimulatedStorage(seed: 3)
        let log = try await openLog(on: storage, .smallCompacted)
        await expectLogError(.keyRequired) { _ = try await log.append([Record("x")]) }
        await expectLogError(.keyRequired) {
            _ = try log.check([Record("x", key: "k"), Record("y")])
        }
        _ = try await log.append([Record("x", key: "k")])
        try await log.close()
        let plain = try await openLog(on: storage, .smallWithoutTail)
        _ = try await plain.append([Record("x")])
        await expectLogError(.invalidConfiguration) { try await plain.compact(force: true) }
        #expect(try await plain.compactIfDue(now: .max) == nil)
        try await plain.close()
    }

    /// Due by the dirty ratio or by the maximum lag, and not before.
    @Test func compactsWhenDue() async throws {
        let storage = SimulatedStorage(seed: 4)
        let clock = storage.simulatedClock
        var configuration = LogConfiguration.smallCompacted
        configuration.minCleanableDirtyRatio = 0.9
        configuration.maxCompactionLagMilliseconds = 10_000
        let log = try await openLog(on: storage, configuration)
        func fill() async throws {
            for number in 0..<30 {
                _ = try await log.append([
                    Record(
                        key: [UInt8(number)], value: [UInt8](repeating: 1, count: 100),
                        timestamp: clock.millisecondsNow())
                ])
            }
            try await log.roll()
        }
        try await fill()
        #expect(await log.dirtyRatio == 1)
        #expect(try await log.compactIfDue(now: clock.millisecondsNow()) != nil)
        #expect(await log.dirtyRatio == 0)
        try await fill()
        let ratio = await log.dirtyRatio
        #expect(ratio > 0.4 && ratio < 0.6)
        #expect(try await log.compactIfDue(now: clock.millisecondsNow()) == nil)
        clock.advance(milliseconds: 10_000)
        #expect(try await log.compactIfDue(now: clock.millisecondsNow()) == nil)
        clock.advance(milliseconds: 1)
        #expect(try await log.compactIfDue(now: clock.millisecondsNow()) != nil)
        #expect(log.statistics.compactions == 2)
        try await log.close()
    }

    /// Only sealed segments are compacted, so what has waited too long in the active one is sealed.
    @Test func theMaximumLagSealsTheActiveSegment() async throws {
        let storage = SimulatedStorage(seed: 4)
        let clock = storage.simulatedClock
        var configuration = LogConfiguration.smallCompacted
        configuration.maxCompactionLagMilliseconds = 10_000
        let log = try await openLog(on: storage, configuration)
        for _ in 0..<3 { _ = try await log.append([Record("value", key: "key")]) }
        clock.advance(milliseconds: 9_999)
        #expect(try await !log.rollIfAged(now: clock.millisecondsNow()))
        clock.advance(milliseconds: 1)
        #expect(try await log.rollIfAged(now: clock.millisecondsNow()))
        clock.advance(milliseconds: 1)
        #expect(try await log.compactIfDue(now: clock.millisecondsNow()) != nil)
        #expect(try await log.all().map(\.offset) == [2])
        // Where nothing is compacted, that lag means nothing.
        configuration.cleanupPolicy = .delete
        try await log.alter(configuration)
        _ = try await log.append([Record("value", key: "key")])
        clock.advance(milliseconds: 10_000)
        #expect(try await !log.rollIfAged(now: clock.millisecondsNow()))
        try await log.close()
    }

    /// Readers that began before a commit, and those that come after, see every latest record.
    @Test func readersGoOnDuringCommits() async throws {
        var random = SplitMix64(seed: 5)
        let storage = SimulatedStorage(seed: 5)
        var oracle = KeyedOracle()
        let log = try await openLog(on: storage, .smallCompacted)
        for round in 0..<10 {
            _ = await oracle.append(to: log, appends: 40, keys: 15, &random)
            try await log.roll()
            let end = log.endOffset
            let latest = Set(
                Dictionary(grouping: oracle.sent.indices, by: { oracle.sent[$0].key }).values
                    .compactMap(\.last).filter { oracle.sent[$0].value != nil })
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<4 {
                    group.addTask {
                        let found = try await log.all().filter { $0.offset < end }
                        #expect(
                            latest.isSubset(of: Set(found.map { Int($0.offset) })),
                            "round \(round)")
                    }
                }
                group.addTask { try await log.compact(options: .small(stepBytes: 200)) }
                try await group.waitForAll()
            }
            try await oracle.check(log, "round \(round)")
        }
        try await log.close()
    }

    /// Closing ends a pass, and nothing of it is left.
    @Test func closingEndsAPass() async throws {
        var random = SplitMix64(seed: 6)
        let storage = SimulatedStorage(seed: 6)
        var oracle = KeyedOracle()
        let log = try await openLog(on: storage, .smallCompacted)
        _ = await oracle.append(to: log, appends: 60, keys: 10, &random)
        try await log.roll()
        var options = CompactionOptions.small(stepBytes: 1)
        options.maximumBytesPerSecond = 1000
        let pass = Task { [options] in try await log.compact(options: options) }
        try await eventually("the pass runs") { await log.isCompacting }
        #expect(try await log.compact() == nil)
        try await log.close()
        #expect(await !log.isCompacting, "a pass that goes on would meet the next opening")
        await expectLogError(.closed) { _ = try await pass.value }
        let reopened = try await openLog(on: storage, .smallCompacted)
        try await oracle.check(reopened, "reopened", reopened: true)
        try await reopened.close()
    }

    /// A damaged segment stays as it is, with what it holds, and the rest is compacted.
    @Test func damagedSegmentsArePassedOver() async throws {
        for seed in seeds(20) {
            var random = SplitMix64(seed: seed)
            let storage = SimulatedStorage(seed: seed)
            var oracle = KeyedOracle()
            var configuration = LogConfiguration.smallCompacted
            configuration.deleteRetentionMilliseconds = 0
            var log = try await openLog(on: storage, configuration)
            _ = await oracle.append(to: log, appends: 50, keys: 5, &random)
            try await log.roll()
            // In a compacted segment offsets have holes, and only the chain vouches for them.
            if random.coin() { try await log.compact() }
            let infos = await log.currentManifest.sealed
            try await log.close()
            let victim = infos[random.below(infos.count)]
            let place =
                SegmentHeader.byteCount
                + random.below(
                    random.coin() ? 8 : victim.end.position - SegmentHeader.byteCount)
            let file = SegmentFiles.log(victim.id, in: try logPath())
            try storage.flip(file, byte: place)
            let before = storage.contents(of: file)
            log = try await openLog(on: storage, configuration)
            for _ in 0..<3 {
                let report = try #require(
                    try await log.compact(force: true, options: .small(stepBytes: 300)))
                #expect(report.passedOverSegments == 1, "seed \(seed)")
                storage.simulatedClock.advance(milliseconds: 1)
            }
            #expect(storage.contents(of: file) == before, "seed \(seed)")
            let found = Set(try await log.allReadable().map { Int($0.offset) })
            for (_, offsets) in Dictionary(
                grouping: oracle.sent.indices, by: { oracle.sent[$0].key })
            {
                let latest = offsets[offsets.count - 1]
                if !victim.offsets.contains(Int64(latest)), oracle.sent[latest].value != nil {
                    #expect(found.contains(latest), "seed \(seed)")
                }
                // Outside the damaged segment only the latest is left.
                let rest = offsets.filter {
                    found.contains($0) && !victim.offsets.contains(Int64($0))
                }
                #expect(rest.count <= 2, "seed \(seed), \(rest)")
                // What the damaged segment still gives does not hide that the key is deleted.
                if oracle.sent[latest].value == nil, Int64(latest) >= victim.end.nextOffset,
                    offsets.contains(where: { victim.offsets.contains(Int64($0)) })
                {
                    #expect(found.contains(latest), "seed \(seed)")
                }
            }
            try await log.close()
        }
    }
}
