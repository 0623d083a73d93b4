import CordwoodSimulation
import CordwoodStorage
import Synchronization
import TestSupport
import Testing

@testable import CordwoodLog

@Suite struct FullDiskTests {
    /// Sleeps end when the test says so, one probe after the other.
    private final class ManualSleep: Sendable {
        private let waiting = Mutex<[CheckedContinuation<Void, Never>]>([])
        let pauses = Mutex<[Duration]>([])

        var probe: SpaceProbe {
            var probe = SpaceProbe()
            probe.sleep = { pause in
                await withCheckedContinuation { continuation in
                    self.pauses.withLock { $0.append(pause) }
                    self.waiting.withLock { $0.append(continuation) }
                }
            }
            return probe
        }

        func wake() {
            let sleepers = self.waiting.withLock { waiting in
                defer { waiting = [] }
                return waiting
            }
            for sleeper in sleepers { sleeper.resume() }
        }
    }

    private func record(_ number: Int, bytes: Int = 40) -> Record {
        let text = "\(number) " + String(repeating: "x", count: bytes)
        return Record(value: Array(text.utf8), timestamp: 1)
    }

    private func open(
        _ storage: SimulatedStorage, _ sleep: ManualSleep,
        _ configuration: LogConfiguration = .smallWithoutTail
    ) async throws -> SimulatedLog {
        let log = try await openLog(on: storage, configuration)
        await log.use(sleep.probe)
        return log
    }

    /// Appends until the disk is full; returns what was acknowledged.
    private func fill(_ log: SimulatedLog, bytes: Int = 40) async throws -> [Record] {
        var kept: [Record] = []
        for number in 0..<10_000 {
            do {
                _ = try await log.append([record(number, bytes: bytes)])
                kept.append(record(number, bytes: bytes))
            } catch {
                #expect(error.code == .readOnly, "\(error)")
                return kept
            }
        }
        Issue.record("the disk never filled")
        return kept
    }

    /// Whoever is told that the disk is full finds the log so, the one whose write failed and those who
    /// waited behind it.
    @Test func theLogSaysThatItIsReadOnlyBeforeAppendsDo() async throws {
        for seed in seeds(100) {
            let storage = SimulatedStorage(seed: seed)
            let sleep = ManualSleep()
            let log = try await open(storage, sleep)
            storage.inject(Fault(.noSpace, at: 1, isPersistent: true))
            let found = await withTaskGroup(of: LogHealth?.self) { group in
                for number in 0..<24 {
                    let isWaiting = number % 3 != 0
                    group.addTask {
                        do {
                            _ = try await log.append(
                                [record(number)], acknowledge: isWaiting ? .durable : .memory)
                            return nil
                        } catch { return log.health }
                    }
                }
                return await group.reduce(into: [LogHealth?]()) { $0.append($1) }
            }
            #expect(found.contains(.readOnly))
            #expect(found.allSatisfy { $0 == nil || $0 == .readOnly }, "seed \(seed): \(found)")
            storage.clearFaults()
            try await eventually("the probe sleeps") { sleep.pauses.withLock { !$0.isEmpty } }
            sleep.wake()
            try await eventually("appends resume") { log.health == .writable }
            try await log.close()
        }
    }

    @Test func appendsFailReadsWorkAndAppendsResumeByThemselves() async throws {
        let storage = SimulatedStorage(seed: 1, capacityBytes: 60_000)
        let sleep = ManualSleep()
        let log = try await open(storage, sleep)
        var kept = try await fill(log)
        #expect(kept.count > 10 && log.health == .readOnly)
        #expect(log.endOffset == Int64(kept.count) && log.durableOffset == log.endOffset)
        let error = await expectLogError(.readOnly) { _ = try await log.append([record(-1)]) }
        #expect(error?.cause?.code == .noSpace)
        #expect(error?.message.contains("resume by themselves") == true)
        #expect(try await log.all().map(\.record) == kept)

        // Nothing has changed: still read-only, and the pauses grow.
        for _ in 0..<3 {
            try await eventually("the probe sleeps") { sleep.pauses.withLock { !$0.isEmpty } }
            let count = sleep.pauses.withLock { $0.count }
            sleep.wake()
            try await eventually("probes again") { sleep.pauses.withLock { $0.count } > count }
        }
        #expect(log.health == .readOnly)
        let pauses = sleep.pauses.withLock { $0 }
        #expect(pauses[1] == pauses[0] * 2 && pauses[2] == pauses[1] * 2)

        storage.capacityBytes = 200_000
        sleep.wake()
        try await eventually("resumes") { log.health == .writable }
        let offsets = try await log.append([record(77)])
        #expect(offsets.lowerBound == Int64(kept.count))
        kept.append(record(77))
        storage.crash(.dropUnsynced)
        let reopened = try await openLog(on: storage, .small)
        #expect(try await reopened.all().map(\.record) == kept)
        let report = try await reopened.verify()
        #expect(report.isSound)
    }

    /// Whatever operation finds no space, and however much of a write got through: what was
    /// acknowledged stays, what was refused as read-only never comes back, and the log goes on.
    @Test func everyOperationMayFindNoSpace() async throws {
        for kind in [OperationKind.write, .preallocate, .open] {
            for number in 1..<60 {
                for seed: UInt64 in 0..<2 {
                    try await run(kind, number, seed)
                }
            }
        }
    }

    private func run(_ kind: OperationKind, _ number: Int, _ seed: UInt64) async throws {
        let context = "\(kind) \(number), seed \(seed)"
        let storage = SimulatedStorage(seed: seed &* 1000 &+ UInt64(number))
        let sleep = ManualSleep()
        let log = try await open(storage, sleep)
        storage.inject(Fault(.noSpace, at: number, of: kind))
        var kept: [Record] = []
        var refused = 0
        for step in 0..<40 {
            do {
                let acknowledge: Acknowledgement = step % 3 == 0 ? .written : .durable
                let offsets = try await log.append([record(step)], acknowledge: acknowledge)
                #expect(offsets.lowerBound == Int64(kept.count), "\(context)")
                kept.append(record(step))
            } catch {
                try #require(error.code == .readOnly, "\(error); \(context)")
                refused += 1
                // The power may go right behind the refusal.
                if seed == 1 { break }
                #expect(await log.resumeWithSpace(), "\(context)")
            }
        }
        #expect(refused <= 1, "\(context)")
        if refused == 0 { #expect(log.health == .writable) }
        // What a refusal has left is synced; what was only written since may go with the power.
        // The fault may come only when the log is closed: everything was synced before that.
        if seed == 1 { storage.crash() } else { try? await log.close() }
        storage.clearFaults()
        let reopened = try await openLog(on: storage, .small)
        let found = try await reopened.all().map(\.record)
        if seed == 0 || refused > 0 {
            #expect(found == kept, "\(context)")
        } else {
            #expect(found == Array(kept.prefix(found.count)), "\(context)")
        }
        let report = try await reopened.verify()
        #expect(report.isSound, "\(report.damage); \(context)")
    }

    @Test func aSyncThatFindsNoSpacePoisons() async throws {
        let storage = SimulatedStorage(seed: 3)
        let log = try await openLog(on: storage, .small)
        _ = try await log.append([record(0)])
        storage.inject(Fault(.noSpace, at: 1, of: .sync))
        await expectLogError(.storage) { _ = try await log.append([record(1)]) }
        let error = await expectLogError(.poisoned) { _ = try await log.append([record(2)]) }
        #expect(error?.message.contains("open it again") == true)
        #expect(log.health == .poisoned)
        #expect(try await log.all().count == 1)
    }

    /// One partition's full disk is not another's poison.
    @Test func otherLogsGoOn() async throws {
        let storage = SimulatedStorage(seed: 4)
        let first = try await openLog(on: storage, .small)
        let second = try await PartitionLog.open(
            path("other"), on: storage, configuration: .small, newLogID: 5)
        storage.inject(Fault(.inputOutput, at: 1, of: .sync))
        await expectLogError(.storage) { _ = try await first.append([record(1)]) }
        _ = try await second.append([record(2)])
        #expect(first.health == .poisoned && second.health == .writable)
    }

    /// Appends that queued behind the failed group fail with it, and their offsets are given again.
    @Test func theQueueBehindFailsAndItsOffsetsAreGivenAgain() async throws {
        let storage = SimulatedStorage(seed: 5)
        let sleep = ManualSleep()
        let log = try await open(storage, sleep, .small)
        _ = try await log.append([record(0)])
        storage.holdCompletions(of: [.write])
        let appends = (1...5).map { number in
            Task { () -> Result<Range<Int64>, any Error> in
                await Result(catching: { try await log.append([self.record(number)]) })
            }
        }
        await storage.waitForHeld(1)
        try await eventually("all queued") { await log.queuedEnd == 6 }
        storage.inject(Fault(.noSpace, at: 1, of: .write))
        storage.releaseCompletions()
        for append in appends {
            await expectLogError(.readOnly) { _ = try await append.value.get() }
        }
        #expect(await log.queuedEnd == 1)
        #expect(await log.resumeWithSpace())
        #expect(try await log.append([record(9)]) == 1..<2)
        #expect(try await log.all().map(\.record) == [record(0), record(9)])
    }

    /// A roll that found no space is not made up for when somebody else has rolled or cut the log.
    @Test(arguments: [true, false]) func aRollByAnotherIsNotRepeated(truncating: Bool) async throws
    {
        let storage = SimulatedStorage(seed: 1)
        let log = try await open(storage, ManualSleep())
        while log.byteCount < 5500 { _ = try await log.append([record(1)]) }
        storage.inject(Fault(.noSpace, at: 1, of: .open, isPersistent: true))
        await expectLogError(.readOnly) {
            for _ in 0..<100 { _ = try await log.append([record(2)]) }
        }
        storage.clearFaults()
        if truncating { try await log.truncate(to: 5) } else { try await log.roll() }
        let segments = log.segmentCount
        #expect(await log.resumeWithSpace())
        #expect(log.health == .writable && log.segmentCount == segments)
        _ = try await log.append([record(3)])
    }

    /// Whoever was told an offset of an append to memory that a full disk then took back is told so.
    @Test func lostAppendsToMemoryAreTold() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await open(storage, ManualSleep())
        for acknowledge in [Acknowledgement.written, .memory] {
            _ = try await log.append([record(0)])
            let end = log.endOffset
            let before = log.truncations
            storage.holdCompletions(of: [.write])
            let first = Task { try await log.append([self.record(1)]) }
            await storage.waitForHeld()
            let second = Task { try await log.append([self.record(2)], acknowledge: acknowledge) }
            try await eventually("queued") { await log.queuedEnd == end + 2 }
            storage.inject(Fault(.noSpace, at: 1, of: .write))
            storage.releaseCompletions()
            await expectLogError(.readOnly) { _ = try await first.value }
            _ = try? await second.value
            #expect(log.truncations == before + (acknowledge == .memory ? [end] : []))
            #expect(await log.resumeWithSpace())
        }
    }

    /// The manifest's reserve lets a full log give records up, which gives it space to go on.
    @Test func aFullLogCanBeTrimmedAndResumes() async throws {
        let storage = SimulatedStorage(seed: 6, capacityBytes: 80_000)
        let sleep = ManualSleep()
        let log = try await open(storage, sleep)
        let kept = try await fill(log)
        #expect(log.segmentCount > 5)
        // To the last byte.
        storage.capacityBytes = storage.usedBytes
        try await log.deleteRecords(before: Int64(kept.count / 2))
        #expect(log.startOffset == Int64(kept.count / 2))
        sleep.wake()
        try await eventually("resumes") { log.health == .writable }
        _ = try await log.append([record(1)])
        try await log.close()
        let reopened = try await openLog(on: storage, .small)
        #expect(reopened.startOffset == Int64(kept.count / 2))
        #expect(
            try await reopened.all().map(\.record)
                == Array(kept.dropFirst(kept.count / 2)) + [record(1)])
    }

    /// A log on a disk without a free byte opens, after a close and after a crash, with all that it
    /// acknowledged.
    @Test(arguments: [true, false]) func aFullDiskDoesNotKeepALogFromOpening(
        closing: Bool
    ) async throws {
        for seed in seeds(10) {
            let storage = SimulatedStorage(seed: seed, capacityBytes: 70_000)
            let log = try await open(storage, ManualSleep())
            let kept = try await fill(log)
            if closing {
                await expectLogError(.readOnly) { try await log.close() }
            } else {
                storage.crash()
            }
            storage.capacityBytes = storage.usedBytes
            let reopened = try await openLog(on: storage, .small)
            #expect(try await reopened.all().map(\.record) == kept, "seed \(seed)")
            await expectLogError(.readOnly) {
                for _ in 0..<100 { _ = try await reopened.append([record(1, bytes: 500)]) }
            }
            await expectLogError(.readOnly) { try await reopened.close() }
            storage.capacityBytes = nil
            let last = try await openLog(on: storage, .small)
            let report = try await last.verify()
            #expect(report.isSound && report.records >= kept.count, "seed \(seed)")
        }
    }
}

extension PartitionLog {
    fileprivate func use(_ probe: SpaceProbe) { spaceProbe = probe }
}

extension Result where Failure == any Error {
    fileprivate init(catching body: () async throws -> Success) async {
        do { self = .success(try await body()) } catch { self = .failure(error) }
    }
}
