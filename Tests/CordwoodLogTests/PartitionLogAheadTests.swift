import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodLog

/// The work beside the appends and the appends themselves.
@Suite(.timeLimit(.minutes(5))) struct PartitionLogAheadTests {
    private static func configuration(
        _ change: (inout SpaceAhead.Limits) -> Void
    ) -> LogConfiguration {
        var configuration = LogConfiguration(
            segmentBytes: 1 << 20, maxMessageBytes: 64 << 10, tailBytes: 0)
        configuration.spaceAhead = SpaceAhead.Limits(
            firstBytes: 1, windowBytes: 64 << 10, stepBytes: 4096,
            reservationBytes: 128 << 10, writebackBytes: .max, unsyncedBytes: .max)
        change(&configuration.spaceAhead)
        return configuration
    }

    private static func record(_ byte: UInt8, _ count: Int) -> Record {
        Record(value: [UInt8](repeating: byte, count: count))
    }

    /// Zeros on their way to the disk are waited for by an append that comes to them.
    @Test func anAppendWaitsForZerosInItsWay() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage, Self.configuration { _ in })
        _ = try await log.append([Self.record(1, 10_000)])
        try await eventually("the first zeros are written") { await !log.isPreparing }
        storage.holdCompletions(of: [.write])
        // Its own write, and then the zeros that it makes due.
        let first = Task { try await log.append([Self.record(2, 5000)]) }
        await storage.waitForHeld(1)
        storage.completeHeld(1)
        await storage.waitForHeld(1)
        _ = try await first.value
        let second = Task { try await log.append([Self.record(3, 60_000)]) }
        try await eventually("the append is queued") { await log.queuedEnd == 3 }
        try await Task.sleep(for: .milliseconds(20))
        #expect(storage.heldCount == 1, "the append did not wait for the zeros")
        storage.releaseCompletions()
        _ = try await second.value
        #expect(try await log.all().map { $0.value?.first } == [1, 2, 3])
        try await log.close()
        let again = try await openLog(on: storage)
        #expect(try await again.all().map { $0.value?.count } == [10_000, 5000, 60_000])
        #expect(try await again.verify().isSound)
    }

    /// Closing waits for what is under way, so that nothing changes the files afterwards.
    @Test func closingWaitsForZeros() async throws {
        let storage = SimulatedStorage(seed: 2)
        let log = try await openLog(on: storage, Self.configuration { _ in })
        _ = try await log.append([Self.record(1, 10_000)])
        try await eventually("the first zeros are written") { await !log.isPreparing }
        storage.holdCompletions(of: [.write])
        let append = Task { try await log.append([Self.record(2, 5000)]) }
        await storage.waitForHeld(1)
        storage.completeHeld(1)
        await storage.waitForHeld(1)
        _ = try await append.value
        let close = Task { try await log.close() }
        try await Task.sleep(for: .milliseconds(20))
        #expect(!log.isClosed)
        storage.releaseCompletions()
        try await close.value
        #expect(log.isClosed)
    }

    /// What nobody waits for is synced after a while, and recovery begins there.
    @Test func unsyncedAppendsBecomeDurable() async throws {
        let storage = SimulatedStorage(seed: 3)
        let configuration = Self.configuration { $0.unsyncedBytes = 1000 }
        let log = try await openLog(on: storage, configuration)
        for number in 0..<20 {
            _ = try await log.append([Self.record(UInt8(number), 200)], acknowledge: .written)
        }
        try await eventually("they are synced") { log.durableOffset >= 15 }
        #expect(log.statistics.syncs == 0)
        let durable = log.durableOffset
        storage.crash(.dropUnsynced)
        let again = try await openLog(on: storage, configuration)
        #expect(again.endOffset >= durable)
    }

    /// The system tells of a failed sync once: where the work beside the appends hears of it, no
    /// append may be acknowledged as durable any more.
    @Test func aFailedSyncBesideTheAppendsPoisons() async throws {
        let storage = SimulatedStorage(seed: 4)
        let configuration = Self.configuration { $0.unsyncedBytes = 1000 }
        let log = try await openLog(on: storage, configuration)
        _ = try await log.append([Self.record(1, 100)], acknowledge: .written)
        storage.holdCompletions(of: [.sync])
        storage.inject(Fault(.inputOutput, at: 1, of: .sync))
        for number in 0..<6 {
            _ = try await log.append([Self.record(UInt8(number), 300)], acknowledge: .written)
        }
        await storage.waitForHeld(1)
        let durable = Task { try await log.append([Self.record(9, 10)]) }
        try await eventually("the append is queued") { await log.queuedEnd == 8 }
        storage.releaseCompletions()
        await #expect(throws: LogError.self) { _ = try await durable.value }
        await expectLogError(.poisoned) { _ = try await log.append([Self.record(9, 10)]) }
        #expect(log.durableOffset == 0)
        await expectLogError(.poisoned) { try await log.close() }
    }

    /// No sync begins beside that of an append: it would take the report of a failure away from it.
    @Test func nothingIsSyncedBesideADurableAppend() async throws {
        let storage = SimulatedStorage(seed: 6)
        let log = try await openLog(on: storage, Self.configuration { $0.unsyncedBytes = 1000 })
        storage.holdCompletions(of: [.sync])
        let durable = Task { try await log.append([Self.record(1, 5000)]) }
        await storage.waitForHeld(1)
        // As much as that is due to be synced, once the append is over.
        await log.noteUnsynced(bytes: 5000)
        #expect(await !log.beginsToSync)
        storage.releaseCompletions()
        _ = try await durable.value
        try await log.close()
    }

    /// A disk without room for what is prepared serves appends until it is really full.
    @Test func preparingMayFail() async throws {
        for fault in 1..<12 {
            let storage = SimulatedStorage(seed: 5)
            let log = try await openLog(on: storage, Self.configuration { _ in })
            _ = try await log.append([Self.record(1, 100)])
            try await eventually("the first steps are over") { await !log.isPreparing }
            storage.inject(Fault(.noSpace, at: fault, of: .preallocate))
            var appended = 1
            do {
                while appended < 40 {
                    _ = try await log.append([Self.record(1, 20_000)])
                    appended += 1
                }
            } catch { #expect(error.code != .closed) }
            storage.crash()
            let again = try await openLog(on: storage)
            #expect(again.endOffset >= Int64(appended), "fault \(fault)")
            #expect(try await again.verify().isSound)
        }
    }
}

extension PartitionLog {
    fileprivate var isPreparing: Bool { active.space.step != nil }

    /// Whether the next piece of work beside the appends is a sync.
    fileprivate var beginsToSync: Bool {
        guard case .sync = active.beginWork() else { return false }
        // It is not done, and nothing is to wait for it.
        active.isSyncing = false
        return true
    }

    /// Takes the log's word for what is durable back by so many bytes.
    fileprivate func noteUnsynced(bytes: Int) {
        var place = active.durable
        place.position -= bytes
        active.noteDurable(place, active.times)
    }
}
