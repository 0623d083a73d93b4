import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodLog

@Suite(.timeLimit(.minutes(10))) struct RetentionTests {
    private func append(_ log: SimulatedLog, _ count: Int) async throws {
        for number in 0..<count {
            _ = try await log.append([
                Record(value: [UInt8](repeating: UInt8(number & 255), count: 200))
            ])
        }
    }

    @Test func wholeSegmentsGoWithTheirFiles() async throws {
        var configuration = LogConfiguration.smallWithoutTail
        configuration.retentionBytes = 8000
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage, configuration)
        try await append(log, 60)
        let segments = log.segmentCount
        let held = try await log.read(from: 0, maximumBytes: 1)
        let removed = try await log.applyRetention(now: storage.clock.millisecondsNow())
        #expect(removed > 0 && log.segmentCount == segments - removed)
        #expect(log.byteCount >= 8000)
        #expect(log.startOffset > 0)
        #expect(try await log.all().first?.offset == log.startOffset)
        #expect(try held[0].records().count == 1, "a reader keeps what it holds")
        await expectLogError(.offsetOutOfRange) { _ = try await log.read(from: 0, maximumBytes: 1) }
        let names = storage.files.map { $0.names.last! }
        #expect(!names.contains { $0.hasPrefix("00000000000000000000.") }, "\(names)")
        let start = log.startOffset
        storage.crash(.dropUnsynced)
        #expect(try await openLog(on: storage, configuration).startOffset == start)
    }

    /// The active segment goes, too, when all of it is expired; and offsets go on.
    @Test func anExpiredLogIsEmptied() async throws {
        var configuration = LogConfiguration.smallWithoutTail
        configuration.retentionMilliseconds = 1000
        let storage = SimulatedStorage(seed: 2)
        let log = try await openLog(on: storage, configuration)
        try await append(log, 20)
        let end = log.endOffset
        let now = storage.clock.millisecondsNow()
        #expect(try await log.applyRetention(now: now + 1000) == 0)
        log.setHighWatermark(0)
        #expect(try await log.applyRetention(now: now + 1001) == 0, "not beyond the high watermark")
        log.setHighWatermark(nil)
        #expect(try await log.applyRetention(now: now + 1001) > 0)
        #expect(log.startOffset == end && log.endOffset == end && log.segmentCount == 1)
        #expect(try await log.applyRetention(now: now + 5000) == 0)
        try await append(log, 1)
        #expect(try await log.all().map(\.offset) == [end])
    }

    @Test func segmentsAreRolledByAgeWithJitter() async throws {
        var configuration = LogConfiguration.smallWithoutTail
        configuration.segmentMilliseconds = 1000
        configuration.segmentJitterMilliseconds = 400
        var ages: Set<Int64> = []
        for seed in seeds(8) {
            let storage = SimulatedStorage(seed: seed)
            let log = try await openLog(on: storage, configuration, newLogID: 77 + seed)
            let now = storage.clock.millisecondsNow()
            #expect(try await !log.rollIfAged(now: now + 100_000), "an empty segment is not old")
            try await append(log, 1)
            var age: Int64 = 0
            while try await !log.rollIfAged(now: now + age) { age += 20 }
            #expect((600...1000).contains(age), "\(age)")
            #expect(log.segmentCount == 2)
            ages.insert(age)
            // An append does the same.
            try await append(log, 1)
            storage.simulatedClock.advance(milliseconds: 1000)
            try await append(log, 1)
            #expect(log.segmentCount == 3)
        }
        #expect(ages.count > 1)
    }

    @Test func aFullIndexRollsTheSegment() async throws {
        var configuration = LogConfiguration()
        configuration.indexIntervalBytes = 64
        configuration.segmentIndexBytes = IndexPage.byteCount
        let storage = SimulatedStorage(seed: 4)
        let log = try await openLog(on: storage, configuration)
        try await append(log, 400)
        #expect(log.segmentCount == 2)
        let index = try path("log/00000000000000000000.index")
        #expect(storage.contents(of: index)?.count == IndexPage.byteCount)
    }

    /// Every operation of a retention or a deletion fails, and the power goes: the start never goes
    /// back, and no record behind it is lost.
    @Test(arguments: [false, true]) func crashesKeepTheStartMonotone(deleting: Bool) async throws {
        var configuration = LogConfiguration.smallWithoutTail
        configuration.retentionBytes = 9000
        var k = 0
        var succeeded = false
        while !succeeded {
            k += 1
            for ending in [Crash.bySeed, .dropUnsynced, .keepAll] {
                let storage = SimulatedStorage(seed: UInt64(k))
                let log = try await openLog(on: storage, configuration)
                try await append(log, 50)
                try await log.deleteRecords(before: 3)
                let all = try await log.all()
                storage.inject(Fault(.inputOutput, at: k, isPersistent: true))
                var acknowledged: Int64 = 3
                do {
                    if deleting {
                        acknowledged = try await log.deleteRecords(before: 33)
                    } else {
                        try await log.applyRetention(now: 0)
                        acknowledged = log.startOffset
                    }
                    succeeded = storage.trace.last?.failure == nil
                } catch {}
                storage.clearFaults()
                storage.crash(ending)
                let reopened = try await openLog(on: storage, configuration)
                let context = "operation \(k), \(ending)"
                #expect(reopened.startOffset >= acknowledged, "\(context)")
                let expected = all.filter { $0.offset >= reopened.startOffset }
                #expect(try await reopened.all() == expected, "\(context)")
                #expect(reopened.endOffset == 50, "\(context)")
                try await reopened.close()
            }
        }
        #expect(k > 3)
    }
}
