import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodLog

// The twenty-five faults that a log must pass, by their numbers in docs/durability.md: those of power
// and process. A is what was acknowledged as durable.
@Suite(.timeLimit(.minutes(30))) struct PowerFaultsTests {
    /// A life that ends at an operation, and the log that is found after it.
    private func live(
        until operation: Int?, _ crash: Crash, seed: UInt64,
        _ configuration: LogConfiguration = .small, appends: Int = 16
    ) async throws -> (storage: SimulatedStorage, oracle: Oracle) {
        var random = SplitMix64(seed: seed)
        let storage = SimulatedStorage(seed: seed)
        var oracle = Oracle()
        if let operation { storage.inject(Fault(.powerCut, at: operation)) }
        if let log = try? await openLog(on: storage, configuration) {
            _ = await oracle.run(log, appends: appends, &random)
        }
        storage.clearFaults()
        storage.crash(crash)
        return (storage, oracle)
    }

    private func check(
        _ life: (storage: SimulatedStorage, oracle: Oracle), _ context: String,
        _ configuration: LogConfiguration = .small
    ) async throws {
        var oracle = life.oracle
        let log = try await openLog(on: life.storage, configuration)
        try await oracle.check(log, context)
        try await log.close()
    }

    @Test func fault01TheProcessIsKilledAnywhere() async throws {
        for operation in 1...120 {
            try await check(
                live(until: operation, .keepAll, seed: UInt64(operation)),
                "operation \(operation)")
        }
    }

    @Test func fault02AllThatWasNotSyncedIsLost() async throws {
        for operation in 1...120 {
            try await check(
                live(until: operation, .dropUnsynced, seed: UInt64(operation)),
                "operation \(operation)")
        }
    }

    @Test func fault03SomeSectorsSurvive() async throws {
        for operation in 1...120 {
            for seed in seeds(3) {
                try await check(
                    live(until: operation, .bySeed, seed: UInt64(operation) << 8 | seed),
                    "operation \(operation), seed \(seed)")
            }
        }
    }

    @Test func fault04TheLastBatchIsCutAtEveryByte() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage, .smallWithoutTail)
        _ = try await log.append([Record("before")])
        let start = await endPosition(log)
        _ = try await log.append([Record("last")])
        let end = await endPosition(log)
        storage.crash(.keepAll)
        let path = SegmentFiles.log(SegmentID(baseOffset: 0), in: try logPath())
        for size in start..<end {
            let copy = try await restored(storage)
            try copy.cut(path, to: size)
            let found = try await openLog(on: copy, .smallWithoutTail)
            #expect(try await found.all().map(\.text) == ["before"], "cut to \(size)")
            #expect(found.recovery.cutBytes <= size - start)
            #expect(found.recovery.quarantined.isEmpty)
            // The place is used again.
            _ = try await found.append([Record("after")])
            #expect(try await found.all().map(\.text) == ["before", "after"])
        }
    }

    @Test func fault05GroupsReachTheDiskInAnyOrder() async throws {
        for seed in seeds(60) {
            let storage = SimulatedStorage(seed: seed)
            let log = try await openLog(on: storage, .smallWithoutTail)
            _ = try await log.append([Record("durable")])
            for number in 0..<12 {
                _ = try await log.append([Record("\(number)")], acknowledge: .written)
            }
            storage.crash(.bySeed)
            let found = try await openLog(on: storage, .smallWithoutTail).all()
            let expected = ["durable"] + (0..<12).map { "\($0)" }
            #expect(found.map(\.text) == Array(expected.prefix(found.count)), "seed \(seed)")
            #expect(found.count >= 1)
        }
    }

    @Test func fault08AZeroedTailIsACleanEnd() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage, .small)
        _ = try await log.append([Record("a"), Record("b")])
        storage.crash(.keepAll)
        let path = SegmentFiles.log(SegmentID(baseOffset: 0), in: try logPath())
        let file = try await storage.open(path, .readWrite)
        try await file.preallocate(to: 64 << 10)
        let found = try await openLog(on: storage, .small)
        #expect(found.recovery.cutBytes == 0 && found.recovery.notes.isEmpty)
        #expect(found.endOffset == 2)
    }

    @Test func fault09BatchesOfACutTailDoNotComeBack() async throws {
        for seed in seeds(40) {
            let storage = SimulatedStorage(seed: seed)
            var log = try await openLog(on: storage, .smallWithoutTail)
            for number in 0..<8 { _ = try await log.append([Record("old \(number)")]) }
            try await log.truncate(to: 3)
            storage.crash(seed % 2 == 0 ? .bySeed : .dropUnsynced)
            log = try await openLog(on: storage, .smallWithoutTail)
            #expect(log.endOffset == 3, "seed \(seed)")
            // As long as the old ones, so that they would lie where a new one ends.
            _ = try await log.append([Record("new 3")])
            storage.crash(.bySeed)
            log = try await openLog(on: storage, .smallWithoutTail)
            #expect(
                try await log.all().map(\.text) == ["old 0", "old 1", "old 2", "new 3"],
                "seed \(seed)")
        }
    }

    @Test func fault16TheNameOfANewSegmentIsLost() async throws {
        var configuration = LogConfiguration.small
        configuration.spaceAhead = .small
        for operation in 1...100 {
            for ending in [Crash.dropUnsynced, .bySeed] {
                var random = SplitMix64(seed: UInt64(operation))
                let storage = SimulatedStorage(seed: UInt64(operation))
                var oracle = Oracle()
                let log = try await openLog(on: storage, configuration)
                storage.inject(Fault(.powerCut, at: operation))
                for _ in 0..<4 {
                    _ = await oracle.run(log, appends: 3, &random, acknowledgements: [.durable])
                    try? await log.roll()
                }
                storage.clearFaults()
                storage.crash(ending)
                try await check(
                    (storage, oracle), "operation \(operation), \(ending)", configuration)
            }
        }
    }

    @Test func fault17CompactionIsInterruptedAnywhere() async throws {
        for operation in 1...150 {
            let storage = SimulatedStorage(seed: UInt64(operation))
            let log = try await openLog(on: storage, .smallCompacted)
            for number in 0..<24 {
                _ = try await log.append([
                    Record("\(number) " + String(repeating: "x", count: 90), key: "\(number % 3)")
                ])
            }
            try await log.roll()
            let before = try await log.all()
            storage.inject(Fault(.powerCut, at: operation))
            _ = try? await log.compact(force: true)
            storage.clearFaults()
            storage.crash(operation % 2 == 0 ? .bySeed : .dropUnsynced)
            let found = try await openLog(on: storage, .smallCompacted).all()
            // What is there was there, and the latest of each key is.
            #expect(found.allSatisfy { before.contains($0) }, "operation \(operation)")
            #expect(
                Set(found.map(\.offset)).isSuperset(of: [21, 22, 23]), "operation \(operation)")
        }
    }

    @Test func fault18TheStartNeverGoesBack() async throws {
        for operation in 1...60 {
            let storage = SimulatedStorage(seed: UInt64(operation))
            var log = try await openLog(on: storage, .smallWithoutTail)
            for number in 0..<20 {
                _ = try await log.append([Record("\(number)" + String(repeating: "x", count: 200))])
            }
            storage.inject(Fault(.powerCut, at: operation))
            var told: Int64 = 0
            for before in stride(from: Int64(2), to: 18, by: 3) {
                guard let start = try? await log.deleteRecords(before: before) else { break }
                told = start
            }
            storage.clearFaults()
            storage.crash(operation % 2 == 0 ? .bySeed : .dropUnsynced)
            log = try await openLog(on: storage, .smallWithoutTail)
            #expect(log.startOffset >= told && log.startOffset <= 17, "operation \(operation)")
            #expect(try await log.all().map(\.offset) == Array(log.startOffset..<20))
        }
    }

    @Test func fault22RecoveryIsInterruptedTwice() async throws {
        for operation in 1...30 {
            let life = try await live(until: 70, .bySeed, seed: UInt64(operation))
            for ending in [Crash.bySeed, .dropUnsynced] {
                life.storage.inject(Fault(.powerCut, at: operation))
                _ = try? await openLog(on: life.storage, .small)
                life.storage.clearFaults()
                life.storage.crash(ending)
            }
            let first = try await openLog(on: life.storage, .small)
            let end = first.endOffset
            life.storage.crash(.dropUnsynced)
            try await check(life, "operation \(operation)")
            #expect(try await openLog(on: life.storage, .small).endOffset == end)
        }
    }

    private func endPosition(_ log: isolated SimulatedLog) -> Int { log.active.end.position }

    /// A machine with the same files, all durable.
    private func restored(_ storage: SimulatedStorage) async throws -> SimulatedStorage {
        let copy = SimulatedStorage(seed: storage.seed)
        for path in storage.files {
            try await copy.createDirectory(path.parent)
            let file = try await copy.open(path, .create)
            let block = MemoryBlock(copying: storage.contents(of: path) ?? [])
            if block.count > 0 {
                try await file.write([FileWrite(at: 0, [MemorySlice(block)])], thenSync: true)
            }
            try await copy.syncDirectory(path.parent)
        }
        try await copy.syncDirectory(.root)
        return copy
    }
}
