import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodLog

@Suite(.timeLimit(.minutes(10))) struct TruncationTests {
    private static var configuration: LogConfiguration {
        var configuration = LogConfiguration.smallWithoutTail
        configuration.indexIntervalBytes = 100
        // The records' times are small.
        configuration.producerIDExpirationMilliseconds = 365 * 1000 * 86_400_000
        return configuration
    }

    /// Batches of one to three records with timestamps in any order, some of a producer.
    private func fill(_ log: SimulatedLog, batches: Int, _ random: inout SplitMix64) async throws {
        var sequence = await log.producers().first?.lastSequence.map { $0 + 1 } ?? 0
        for number in 0..<batches {
            let records = (0...random.below(3)).map { _ in
                Record(
                    value: [UInt8](repeating: UInt8(number & 255), count: random.below(150)),
                    timestamp: Int64(random.below(10_000)))
            }
            if random.coin() {
                _ = try await log.append(records, acknowledge: .written)
            } else {
                let producer = ProducerSequence(producerID: 9, epoch: 0, baseSequence: sequence)
                _ = try await log.append(records, producer: producer, acknowledge: .written)
                sequence += Int32(records.count)
            }
        }
    }

    /// Where the batch begins that holds an offset.
    private func batchStart(_ log: SimulatedLog, _ offset: Int64) async throws -> Int64 {
        try await log.read(from: offset, maximumBytes: 1).first?.baseOffset ?? offset
    }

    /// At any offset, in any segment: the log is the one that never had the rest, in its records,
    /// its times, its producers, its epochs, and so it is after an opening; and its index files
    /// become those that sealing there would have written.
    @Test func theLogIsTheOneThatNeverHadTheRest() async throws {
        for seed in seeds(25) {
            var random = SplitMix64(seed: seed)
            let storage = SimulatedStorage(seed: seed)
            var log = try await openLog(on: storage, Self.configuration)
            try await fill(log, batches: 20 + random.below(40), &random)
            try await log.startEpoch(4)
            try await fill(log, batches: 20, &random)
            let all = try await log.all()
            let offset = Int64(random.below(Int(log.endOffset)))
            let end = try await batchStart(log, offset)
            #expect(try await log.truncate(to: offset) == end, "seed \(seed)")
            let twin = try await openLog(on: SimulatedStorage(seed: seed), Self.configuration)
            var again = SplitMix64(seed: seed)
            try await fill(twin, batches: 20 + again.below(40), &again)
            let epochStart = twin.endOffset
            try await twin.startEpoch(4)
            try await fill(twin, batches: 20, &again)
            let states = try await twin.producers(at: end).states
            for life in 0..<2 {
                let context: Comment = "seed \(seed), life \(life), to \(end)"
                #expect(log.endOffset == end, context)
                #expect(try await log.all() == all.filter { $0.offset < end }, context)
                #expect(log.epochs.latest == (end > epochStart ? 4 : 0), context)
                #expect(await log.ledger.published.states == states, context)
                let largest = all.filter { $0.offset < end }.map(\.timestamp).max()
                #expect(try await log.offset(for: .maxTimestamp)?.timestamp == largest, context)
                #expect(try await log.verify().isSound, context)
                let last = await log.lastSealed
                let times = all.filter { last?.offsets.contains($0.offset) ?? false }
                #expect(last?.times.maxTimestamp == times.map(\.timestamp).max(), context)
                if life == 0, random.coin() { try await log.close() } else { storage.crash() }
                log = try await openLog(on: storage, Self.configuration)
            }
            try await fill(log, batches: 10, &random)
            #expect(try await log.all().map(\.offset) == Array(0..<log.endOffset), "seed \(seed)")
        }
    }

    /// Every operation of a truncation fails, and the power goes: the log is as it was, or cut, and
    /// goes on.
    @Test(arguments: [5, 30, 58] as [Int64]) func aCrashLeavesTheOldOrTheNew(
        offset: Int64
    ) async throws {
        var k = 0
        var succeeded = false
        while !succeeded {
            k += 1
            for ending in [Crash.bySeed, .dropUnsynced, .keepAll] {
                var random = SplitMix64(seed: 3)
                let storage = SimulatedStorage(seed: UInt64(k))
                let log = try await openLog(on: storage, Self.configuration)
                try await fill(log, batches: 40, &random)
                try await log.flush()
                let all = try await log.all()
                let cut = try await batchStart(log, offset)
                storage.inject(Fault(.inputOutput, at: k, isPersistent: true))
                do {
                    try await log.truncate(to: offset)
                    succeeded = storage.trace.last?.failure == nil
                } catch {}
                let wasCut = log.endOffset == cut
                storage.clearFaults()
                storage.crash(ending)
                let context: Comment = "operation \(k), \(ending)"
                let again = try await openLog(on: storage, Self.configuration)
                #expect(again.recovery.quarantined.isEmpty, "\(again.recovery), \(context)")
                let end = again.endOffset
                #expect(end == cut || (!wasCut && end == Int64(all.count)), context)
                #expect(try await again.all() == all.filter { $0.offset < end }, context)
                try await fill(again, batches: 5, &random)
                try await again.close()
                let last = try await openLog(on: storage, Self.configuration)
                #expect(try await last.all().map(\.offset) == Array(0..<last.endOffset), context)
            }
        }
        #expect(k > 3)
    }

    /// Damage that is known lies in the way of nothing behind it; one that holds the offset goes.
    @Test func knownDamageIsNoObstacle() async throws {
        for (offset, expected) in [(9, 9), (4, 3), (3, 3), (2, 2), (5, 3), (6, 6)]
            as [(Int64, Int64)]
        {
            let storage = SimulatedStorage(seed: 1)
            var configuration = Self.configuration
            configuration.indexIntervalBytes = 1 << 20
            let log = try await openLog(on: storage, configuration)
            var places: [Int] = []
            for number in 0..<12 {
                places.append(log.byteCount)
                _ = try await log.append([Record("\(number) " + String(repeating: "x", count: 50))])
            }
            storage.crash(.keepAll)
            let file = try path("log/00000000000000000000.log")
            // Offsets 3 to 5, headers and all.
            try storage.zero(file, places[3]..<places[6])
            let again = try await openLog(on: storage, configuration)
            #expect(again.recovery.quarantined.map(\.offsets) == [3..<6])
            #expect(again.segmentCount == 2)
            #expect(try await again.truncate(to: offset) == expected, "\(offset)")
            var current = again
            for life in 0..<2 {
                let left = try await current.allReadable().map(\.offset)
                #expect(left == (0..<expected).filter { !(3..<6).contains($0) }, "\(offset)")
                #expect(try await current.verify().isSound == (expected <= 3), "\(offset)")
                if life == 0 { current = try await reopened(current, storage, configuration) }
            }
        }
    }

    private func reopened(
        _ log: SimulatedLog, _ storage: SimulatedStorage, _ configuration: LogConfiguration
    ) async throws -> SimulatedLog {
        try await log.close()
        return try await openLog(on: storage, configuration)
    }

    /// An offset that compaction left between two batches is a place like any other.
    @Test func betweenCompactedBatches() async throws {
        for offset in 1...9 as ClosedRange<Int64> {
            let storage = SimulatedStorage(seed: 1)
            var configuration = Self.configuration
            configuration.cleanupPolicy = .compact
            configuration.segmentBytes = 20_000
            let log = try await openLog(on: storage, configuration)
            for key in [1, 2, 2, 2, 2, 3, 4, 4, 4, 5] as [UInt8] {
                _ = try await log.append([Record(key: [key], value: [key])])
            }
            try await log.roll()
            _ = try await log.compact(force: true)
            #expect(try await log.all().map(\.offset) == [0, 4, 5, 8, 9])
            #expect(try await log.truncate(to: offset) == offset)
            let left = try await log.all().map(\.offset)
            #expect(left == [0, 4, 5, 8, 9].filter { $0 < offset })
            #expect(try await log.append([Record(key: [9], value: [9])]) == offset..<offset + 1)
            let again = try await reopened(log, storage, configuration)
            #expect(try await again.all().map(\.offset) == left + [offset])
        }
    }

    /// A full disk refuses a truncation and spoils nothing.
    @Test func aFullDiskRefusesATruncation() async throws {
        var random = SplitMix64(seed: 1)
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage, Self.configuration)
        try await fill(log, batches: 40, &random)
        let all = try await log.all()
        storage.inject(Fault(.noSpace, at: 1, of: .write, isPersistent: true))
        await expectLogError(.readOnly) { try await log.truncate(to: 20) }
        #expect(log.health == .readOnly)
        #expect(try await log.all() == all)
        storage.clearFaults()
        #expect(await log.resumeWithSpace())
        let end = try await log.truncate(to: 20)
        #expect(try await log.all() == all.filter { $0.offset < end })
    }

    /// What another change did meanwhile counts: a log never begins behind its end.
    @Test func aTrimBehindATruncationIsRefused() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage, Self.configuration)
        for number in 0..<30 { _ = try await log.append([Record("\(number)")]) }
        storage.holdCompletions()
        let truncation = Task { try await log.truncate(to: 10) }
        await storage.waitForHeld()
        let trim = Task { try await log.deleteRecords(before: 20) }
        try await eventually("it waits") { await log.structureWaiters == 1 }
        let newer = Task { try await log.startEpoch(7) }
        try await eventually("it waits") { await log.structureWaiters == 2 }
        let older = Task { try await log.startEpoch(6) }
        try await eventually("it waits") { await log.structureWaiters == 3 }
        storage.releaseCompletions()
        #expect(try await truncation.value == 10)
        await expectLogError(.offsetOutOfRange) { _ = try await trim.value }
        #expect(log.startOffset == 0 && log.endOffset == 10)
        try await newer.value
        await expectLogError(.staleEpoch) { try await older.value }
    }

    /// Followers of a log that is cut and written anew are told of each cut below them, with that
    /// error and no other, and end with the records that the log has.
    @Test func followersAreToldOfEveryCut() async throws {
        for seed in seeds(6) {
            let storage = SimulatedStorage(seed: seed)
            var configuration = Self.configuration
            configuration.tailBytes = seed % 2 == 0 ? 0 : 1 << 20
            let log = try await openLog(on: storage, configuration)
            let followers = (0..<4).map { _ in
                Task {
                    var seen: [StoredRecord] = []
                    var batches = BatchSequence(log, from: 0, following: true).makeAsyncIterator()
                    while true {
                        do {
                            guard let batch = try await batches.next() else { return seen }
                            // What follows a cut may come before the cut is told.
                            seen += try batch.records()
                            let isEnd = seen.last?.text == "end"
                            if isEnd, try await seen == log.all() { return seen }
                        } catch let error as LogError {
                            guard error.code == .truncated, let offset = error.resumeOffset else {
                                throw error
                            }
                            seen.removeAll { $0.offset >= offset }
                        }
                    }
                }
            }
            var random = SplitMix64(seed: seed)
            for _ in 0..<60 {
                try await fill(log, batches: random.below(4), &random)
                if log.endOffset > 0 {
                    try await log.truncate(to: max(0, log.endOffset - Int64(random.below(4))))
                }
            }
            _ = try await log.append([Record("end")])
            let all = try await log.all()
            for follower in followers { #expect(try await follower.value == all, "seed \(seed)") }
        }
    }

    /// Records that replicas have not seen decided stay undecided over a truncation behind them.
    @Test func whatIsNotReplicatedStaysUndecided() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage, Self.configuration)
        log.setHighWatermark(0)
        _ = try await log.produce(1, sequence: 0, count: 5, transactional: true)
        for number in 0..<5 { _ = try await log.append([Record("\(number)")]) }
        #expect(try await log.end(.commit, 1) == 10)
        for number in 0..<9 { _ = try await log.append([Record("\(number)")]) }
        log.setHighWatermark(7)
        #expect(log.lastStableOffset == 0)
        #expect(try await log.truncate(to: 15) == 15)
        #expect(log.lastStableOffset == 0)
        log.setHighWatermark(11)
        #expect(log.lastStableOffset == 11)
    }
}

extension PartitionLog {
    fileprivate var lastSealed: SegmentInfo? { manifest.manifest.sealed.last }
    fileprivate var structureWaiters: Int { structure.waiterCount }
}
