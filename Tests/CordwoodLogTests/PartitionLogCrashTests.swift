import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodLog

/// The acknowledged set survives whatever the machine does.
@Suite(.timeLimit(.minutes(30))) struct PartitionLogCrashTests {
    private static func configuration(_ random: inout SplitMix64) -> LogConfiguration {
        var configuration = LogConfiguration(
            segmentBytes: SegmentHeader.byteCount + [1600, 3000, 20_000][random.below(3)],
            indexIntervalBytes: [64, 256, 1024][random.below(3)], maxMessageBytes: 1600,
            maximumQueuedBytes: 1 << 20, maximumGroupBytes: [512, 1 << 20][random.below(2)],
            tailBytes: random.coin() ? 0 : 1 << 20)
        if random.state & 1 == 1 { configuration.spaceAhead = .small }
        return configuration
    }

    private static func crash(_ random: inout SplitMix64) -> Crash {
        [.bySeed, .bySeed, .bySeed, .dropUnsynced, .keepAll][random.below(5)]
    }

    /// Lives of a log that end with a crash, a close or a crash inside recovery, one after another
    /// on one disk.
    @Test func acknowledgedRecordsSurviveCrashes() async throws {
        for seed in seeds(80) {
            var random = SplitMix64(seed: seed)
            let storage = SimulatedStorage(seed: seed)
            var oracle = Oracle()
            let configuration = Self.configuration(&random)
            for life in 0..<6 {
                let context = "seed \(seed), life \(life)"
                // Crashes during recovery, each somewhere else.
                while random.below(4) == 0 {
                    storage.inject(
                        Fault(.inputOutput, at: 1 + random.below(20), isPersistent: true))
                    _ = try? await openLog(on: storage, configuration)
                    storage.clearFaults()
                    storage.crash(Self.crash(&random))
                }
                let log = try await openLog(on: storage, configuration)
                try await oracle.check(log, context)
                _ = await oracle.run(log, appends: random.below(40), &random)
                if random.below(4) == 0 {
                    try await log.close()
                    oracle.acknowledged(0..<Int64(oracle.sent.count), .durable)
                }
                storage.crash(Self.crash(&random))
            }
        }
    }

    /// What a power cut leaves of appends that were on their way.
    @Test func acknowledgedRecordsSurviveCrashesInMidWrite() async throws {
        for seed in seeds(60) {
            var random = SplitMix64(seed: seed)
            let storage = SimulatedStorage(seed: seed)
            var oracle = Oracle()
            let configuration = Self.configuration(&random)
            for life in 0..<4 {
                let log = try await openLog(on: storage, configuration)
                try await oracle.check(log, "seed \(seed), life \(life)")
                _ = await oracle.run(log, appends: random.below(12), &random)
                storage.holdCompletions(of: [.write, .sync])
                // Sent one after another, so that their order is known; none is waited for.
                var waiting: [Task<Range<Int64>, any Error>] = []
                for _ in 0..<1 + random.below(6) {
                    let records = oracle.newRecords(1 + random.below(3), &random)
                    oracle.willSend(records)
                    let end = Int64(oracle.sent.count)
                    waiting.append(
                        Task { try await log.append(records, acknowledge: .durable) })
                    try await eventually("the append is queued") { await log.queuedEnd == end }
                    if random.coin() { storage.completeHeld(1) }
                }
                storage.crash(Self.crash(&random))
                storage.releaseCompletions()
                for task in waiting {
                    if let offsets = try? await task.value {
                        oracle.acknowledged(offsets, .durable)
                    }
                }
            }
        }
    }

    /// Every operation of a life fails once, and for good; then the log is reopened, with a power
    /// cut before it or without.
    @Test(arguments: [false, true], [Fault.Problem.inputOutput, .noSpace])
    func operationKFails(isPersistent: Bool, problem: Fault.Problem) async throws {
        var k = 0
        var ranClean = false
        while !ranClean {
            k += 1
            for ending in [Crash.bySeed, .dropUnsynced, .keepAll, nil] {
                let context =
                    "operation \(k), \(problem), persistent \(isPersistent), "
                    + "\(ending.map { "\($0)" } ?? "no crash")"
                var random = SplitMix64(seed: UInt64(k))
                let storage = SimulatedStorage(seed: UInt64(k))
                var oracle = Oracle()
                var configuration = LogConfiguration.small
                configuration.indexIntervalBytes = 64
                do {
                    let log = try await openLog(on: storage, configuration)
                    storage.inject(Fault(problem, at: k, isPersistent: isPersistent))
                    ranClean = await oracle.run(log, appends: 14, &random)
                    if ranClean {
                        try await log.close()
                        oracle.acknowledged(0..<Int64(oracle.sent.count), .durable)
                    } else {
                        // A disk that is only full does not poison, and may have space by now.
                        let isFull = log.health == .readOnly
                        if !isFull {
                            await expectLogError(.poisoned) {
                                _ = try await log.append([Record("x")])
                            }
                        }
                        // What was visible can still be read, as far as the disk allows.
                        if !isPersistent {
                            let visible = try await log.all()
                            #expect(Int64(visible.count) == log.endOffset)
                            #expect(log.endOffset >= oracle.durableEnd)
                        }
                        if isFull {
                            // It settles what it has, or finds no space for that, either.
                            try? await log.close()
                        } else {
                            await expectLogError(.poisoned) { try await log.close() }
                        }
                    }
                } catch is LogError { ranClean = false }
                // One that found no space may have made do with less.
                if storage.trace.contains(where: { $0.failure == .noSpace }) { ranClean = false }
                storage.clearFaults()
                if let ending { storage.crash(ending) }
                let reopened = try await openLog(on: storage, configuration)
                try await oracle.check(reopened, context)
                // What recovery kept and what is appended now survives the next power cut.
                _ = await oracle.run(reopened, appends: 6, &random, acknowledgements: [.durable])
                #expect(oracle.durableEnd == Int64(oracle.sent.count), "\(context)")
                storage.crash(.dropUnsynced)
                let last = try await openLog(on: storage, configuration)
                try await oracle.check(last, "\(context), after a power cut")
                try await last.close()
            }
        }
        #expect(k > 40, "the workload has so many operations")
    }

    /// Every operation of a recovery fails, and the machine goes down there; the next one succeeds.
    @Test func recoveryCanBeInterruptedAnywhere() async throws {
        for seed in seeds(6) {
            var k = 0
            var succeeded = false
            while !succeeded {
                k += 1
                var random = SplitMix64(seed: seed)
                let storage = SimulatedStorage(seed: seed)
                var oracle = Oracle()
                let log = try await openLog(on: storage, .small)
                _ = await oracle.run(log, appends: 20, &random)
                storage.crash(.bySeed)
                for round in 0..<3 {
                    storage.inject(Fault(.inputOutput, at: k, isPersistent: true))
                    do {
                        _ = try await openLog(on: storage, .small)
                        succeeded = true
                    } catch {}
                    storage.clearFaults()
                    storage.crash(round == 1 ? .dropUnsynced : .bySeed)
                }
                let recovered = try await openLog(on: storage, .small)
                try await oracle.check(recovered, "seed \(seed), operation \(k)")
            }
            #expect(k > 10)
        }
    }

    @Test func recoveryIsIdempotent() async throws {
        var sawCut = false
        for seed in seeds(60) {
            var random = SplitMix64(seed: seed)
            let storage = SimulatedStorage(seed: seed)
            var oracle = Oracle()
            let log = try await openLog(on: storage, .small)
            _ = await oracle.run(log, appends: 20, &random)
            storage.crash(.bySeed)
            let first = try await openLog(on: storage, .small)
            sawCut = sawCut || first.recovery.cutBytes > 0
            let files = storage.files.map { storage.contents(of: $0) }
            storage.crash(.dropUnsynced)
            #expect(storage.files.map { storage.contents(of: $0) } == files, "seed \(seed)")
            let second = try await openLog(on: storage, .small)
            #expect(
                second.recovery.cutBytes == 0 && second.recovery.notes.isEmpty,
                "seed \(seed): \(second.recovery)")
            #expect(second.endOffset == first.endOffset)
        }
        #expect(sawCut, "some crash tears a group")
    }

    /// The kernel forgets what a failed sync lost: the log must not acknowledge it later.
    @Test func aFailedSyncNeverAcknowledges() async throws {
        for seed in seeds(40) {
            var random = SplitMix64(seed: seed)
            let storage = SimulatedStorage(seed: seed)
            var oracle = Oracle()
            let log = try await openLog(on: storage, .small)
            _ = await oracle.run(log, appends: 5, &random, acknowledgements: [.durable])
            storage.inject(Fault(.inputOutput, at: 1, of: .sync))
            _ = await oracle.run(log, appends: 20, &random, acknowledgements: [.durable])
            let syncs = storage.counts.syncs
            await expectLogError(.poisoned) { _ = try await log.append([Record("later")]) }
            #expect(storage.counts.syncs == syncs, "a failed sync is not tried again")
            #expect(try await log.all().count == Int(log.endOffset), "reads go on")
            await expectLogError(.poisoned) { try await log.close() }
            #expect(storage.counts.syncs == syncs)
            // Reopened without a crash: the cache holds what the disk does not.
            let reopened = try await openLog(on: storage, .small)
            try await oracle.check(reopened, "seed \(seed)")
            _ = await oracle.run(reopened, appends: 3, &random, acknowledgements: [.durable])
            if random.coin() { storage.dropCaches() } else { storage.crash(.dropUnsynced) }
            let last = try await openLog(on: storage, .small)
            try await oracle.check(last, "seed \(seed), after the caches went")
        }
    }

    /// The power goes at the segment's first sync while a log that holds unsynced records is
    /// closed, or recovered.
    @Test(arguments: [false, true]) func aWatermarkNeverClaimsWhatWasNotSynced(
        inRecovery: Bool
    ) async throws {
        var configuration = LogConfiguration.smallWithoutTail
        configuration.segmentBytes = 32 << 10
        for seed in seeds(30) {
            let storage = SimulatedStorage(seed: seed)
            var oracle = Oracle()
            var random = SplitMix64(seed: seed)
            let log = try await openLog(on: storage, configuration)
            _ = await oracle.run(log, appends: 1, &random, acknowledgements: [.durable])
            _ = await oracle.run(log, appends: 20, &random, acknowledgements: [.written])
            if inRecovery {
                storage.crash(.keepAll)
                // The first sync of an opening is the manifest's.
                storage.inject(Fault(.inputOutput, at: 2, of: .sync, isPersistent: true))
                await expectLogError(.storage) { _ = try await openLog(on: storage, configuration) }
            } else {
                storage.inject(Fault(.inputOutput, at: 1, of: .sync, isPersistent: true))
                await expectLogError(.storage) { try await log.close() }
            }
            #expect(storage.trace.last { $0.failure != nil }?.path.hasSuffix(".log") == true)
            storage.clearFaults()
            storage.crash(.bySeed)
            try await oracle.check(openLog(on: storage, configuration), "seed \(seed)")
        }
    }

    @Test func eachAcknowledgementSurvivesWhatItPromises() async throws {
        func survivors(_ acknowledge: Acknowledgement, _ crash: Crash) async throws -> Int64 {
            let storage = SimulatedStorage(seed: 3)
            let log = try await openLog(on: storage)
            _ = try await log.append([Record("durable")])
            if acknowledge == .memory { storage.holdCompletions(of: [.write]) }
            _ = try await log.append([Record("more")], acknowledge: acknowledge)
            storage.crash(crash)
            storage.releaseCompletions()
            return try await openLog(on: storage).endOffset
        }
        #expect(try await survivors(.durable, .dropUnsynced) == 2)
        #expect(try await survivors(.written, .keepAll) == 2)
        #expect(try await survivors(.written, .dropUnsynced) == 1)
        #expect(try await survivors(.memory, .dropUnsynced) == 1)
    }
}
