import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodLog

// The twenty-five faults that a log must pass, by their numbers in docs/durability.md: those of a
// device that fails, and of the clock.
@Suite(.timeLimit(.minutes(30))) struct DeviceFaultsTests {
    private func text(_ records: [StoredRecord]) -> [String?] { records.map(\.text) }

    @Test func fault10AShortWriteLeavesOneCopy() async throws {
        for seed in seeds(40) {
            let storage = SimulatedStorage(seed: seed)
            let log = try await openLog(on: storage, .smallWithoutTail)
            for number in 0..<10 {
                storage.inject(Fault(.short, at: 1, isPersistent: number % 2 == 0))
                _ = try await log.append([Record("\(number)")])
                storage.clearFaults()
            }
            storage.crash(.dropUnsynced)
            let found = try await openLog(on: storage, .smallWithoutTail).all()
            #expect(text(found) == (0..<10).map { "\($0)" }, "seed \(seed)")
        }
    }

    @Test func fault11AFailedWriteFailsItsWaitersAndPoisons() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage, .smallWithoutTail)
        _ = try await log.append([Record("durable")])
        storage.inject(Fault(.inputOutput, at: 1, of: .write))
        await expectLogError(.storage) { _ = try await log.append([Record("lost")]) }
        await expectLogError(.poisoned) { _ = try await log.append([Record("refused")]) }
        #expect(log.health == .poisoned)
        #expect(text(try await log.all()) == ["durable"], "reads go on")
        try? await log.close()
        let again = try await openLog(on: storage, .smallWithoutTail)
        #expect(text(try await again.all()).first == "durable")
        _ = try await again.append([Record("taken")])
    }

    @Test func fault12AFailedSyncIsNeverAcknowledged() async throws {
        for seed in seeds(40) {
            let storage = SimulatedStorage(seed: seed)
            let log = try await openLog(on: storage, .smallWithoutTail)
            _ = try await log.append([Record("durable")])
            // The kernel reports it once; a second sync would succeed and save nothing.
            storage.inject(Fault(.inputOutput, at: 1, of: .sync))
            await expectLogError(.storage) { _ = try await log.append([Record("lost")]) }
            await expectLogError(.poisoned) { _ = try await log.append([Record("refused")]) }
            try? await log.close()
            let again = try await openLog(on: storage, .smallWithoutTail)
            let kept = text(try await again.all())
            _ = try await again.append([Record("more")])
            storage.crash(.dropUnsynced)
            let last = try await openLog(on: storage, .smallWithoutTail)
            #expect(text(try await last.all()) == kept + ["more"], "seed \(seed)")
        }
    }

    @Test func fault13AFullDiskIsReadOnlyAndResumes() async throws {
        let storage = SimulatedStorage(seed: 1, capacityBytes: 60_000)
        let log = try await openLog(on: storage, .smallWithoutTail)
        var kept = 0
        while log.health == .writable {
            do {
                _ = try await log.append([Record("\(kept)" + String(repeating: "x", count: 300))])
                kept += 1
            } catch { #expect(error.code == .readOnly) }
        }
        #expect(log.health == .readOnly && kept > 5)
        #expect(try await log.all().count == kept, "reads go on")
        storage.capacityBytes = nil
        try await eventually("appends resume by themselves") { log.health == .writable }
        _ = try await log.append([Record("resumed")])
        storage.crash(.dropUnsynced)
        #expect(try await openLog(on: storage, .smallWithoutTail).all().count == kept + 1)
    }

    @Test func fault14AFullDiskInRecoveryLosesNothing() async throws {
        for operation in 1...40 {
            let storage = SimulatedStorage(seed: UInt64(operation))
            var log = try await openLog(on: storage, .smallWithoutTail)
            for number in 0..<8 { _ = try await log.append([Record("\(number)")]) }
            storage.crash(.bySeed)
            storage.inject(Fault(.noSpace, at: operation, isPersistent: true))
            if let opened = try? await openLog(on: storage, .smallWithoutTail) {
                #expect(opened.endOffset == 8)
                try? await opened.close()
            }
            storage.clearFaults()
            storage.crash(.dropUnsynced)
            log = try await openLog(on: storage, .smallWithoutTail)
            #expect(
                text(try await log.all()) == (0..<8).map { "\($0)" }, "operation \(operation)")
        }
    }

    @Test func fault15WhatIsInterruptedOrCancelledIsNoAcknowledgement() async throws {
        for operation in 1...60 {
            for problem in [Fault.Problem.interrupted, .cancelled] {
                let storage = SimulatedStorage(seed: UInt64(operation))
                var random = SplitMix64(seed: UInt64(operation))
                var oracle = Oracle()
                let log = try await openLog(on: storage, .smallWithoutTail)
                storage.inject(Fault(problem, at: operation))
                let endedWell = await oracle.run(log, appends: 12, &random)
                #expect(endedWell || problem == .cancelled)
                storage.clearFaults()
                storage.crash(operation % 2 == 0 ? .dropUnsynced : .bySeed)
                try await oracle.check(
                    openLog(on: storage, .smallWithoutTail), "\(problem) \(operation)")
            }
        }
        // A whole chain is given up while many wait for it.
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage, .smallWithoutTail)
        storage.holdCompletions(of: [.write])
        let waiting = (0..<5).map { number in
            Task { try await log.append([Record("\(number)")]) }
        }
        try await eventually("all are queued") { await log.queuedEnd == 5 }
        storage.cancelHeld()
        storage.releaseCompletions()
        var acknowledged = 0
        for task in waiting where (try? await task.value) != nil { acknowledged += 1 }
        storage.crash(.dropUnsynced)
        let found = try await openLog(on: storage, .smallWithoutTail)
        #expect(found.endOffset >= Int64(acknowledged))
        #expect(acknowledged < 5)
    }

    @Test func fault24ClocksJumpAndTimestampsLie() async throws {
        let storage = SimulatedStorage(seed: 1)
        let clock = storage.simulatedClock
        var configuration = LogConfiguration.smallWithoutTail
        configuration.retentionMilliseconds = 60_000
        configuration.messageTimestampAfterMaxMilliseconds = nil
        let log = try await openLog(on: storage, configuration)
        let future = clock.millisecondsNow() + 100 * 365 * 86_400_000
        for number in 0..<30 {
            // A century ahead, and a clock that goes back and forth.
            _ = try await log.append([
                Record(
                    value: [UInt8](repeating: 1, count: 200),
                    timestamp: number % 3 == 0 ? future : nil)
            ])
            clock.advance(milliseconds: number % 2 == 0 ? 5000 : -4000)
        }
        let segments = log.segmentCount
        #expect(segments > 3)
        clock.advance(milliseconds: 10 * 60_000)
        try await log.applyRetention(now: clock.millisecondsNow())
        #expect(log.segmentCount == 1, "a timestamp in the future keeps a segment")
        #expect(log.startOffset == 30)
        // Back before everything: nothing that is left goes, and nothing traps.
        clock.set(milliseconds: 0)
        _ = try await log.append([Record("later")])
        try await log.applyRetention(now: .min)
        try await log.applyRetention(now: clock.millisecondsNow())
        #expect(log.endOffset == 31 && log.startOffset == 30)
    }
}
