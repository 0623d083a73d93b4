import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodLog

/// The next segment's file, made while the active one fills up.
@Suite(.timeLimit(.minutes(30))) struct SpareSegmentTests {
    private static var configuration: LogConfiguration {
        var configuration = LogConfiguration(
            segmentBytes: 64 << 10, maxMessageBytes: 8 << 10, tailBytes: 0)
        configuration.spaceAhead = SpaceAhead.Limits(
            firstBytes: 1, windowBytes: 16 << 10, stepBytes: 4096, reservationBytes: 32 << 10,
            writebackBytes: .max, unsyncedBytes: .max, spareBytes: 16 << 10)
        return configuration
    }

    private func names(_ storage: SimulatedStorage) async throws -> [String] {
        try await storage.entries(of: logPath()).map(\.name)
    }

    /// Appends until the segment has no more than `room` bytes left.
    private func fill(
        _ log: PartitionLog<SimulatedStorage>, leaving room: Int,
        acknowledge: Acknowledgement = .durable
    ) async throws {
        while await log.room > room {
            _ = try await log.append(
                [Record(value: [UInt8](repeating: 7, count: 1000))], acknowledge: acknowledge)
        }
    }

    private func waitForSpare(_ log: PartitionLog<SimulatedStorage>) async throws {
        try await eventually("the next segment's file is ready") { await log.hasSpare }
    }

    @Test func aRollTakesTheFileThatWasMade() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage, Self.configuration)
        try await fill(log, leaving: 20 << 10)
        #expect(try await !names(storage).contains(SegmentFiles.spareName))
        try await fill(log, leaving: 10 << 10)
        try await waitForSpare(log)
        #expect(try await names(storage).contains(SegmentFiles.spareName))

        // A roll needs no space, and appends behind it none either.
        storage.inject(Fault(.noSpace, at: 1, of: .preallocate, isPersistent: true))
        try await log.roll()
        #expect(try await !names(storage).contains(SegmentFiles.spareName))
        #expect(await log.reserved == 32 << 10)
        #expect(await log.zeroed == 16 << 10)
        storage.clearFaults()
        for byte in 0..<20 {
            _ = try await log.append([Record(value: [UInt8](repeating: UInt8(byte), count: 500))])
        }
        let all = try await log.all()
        try await log.close()
        #expect(try await !names(storage).contains(SegmentFiles.spareName))
        let again = try await openLog(on: storage, Self.configuration)
        #expect(try await again.all() == all)
        #expect(try await again.verify().isSound)
        try await again.close()
    }

    /// Without a sync nobody waits for one, so no zeros are written.
    @Test func zerosAreForLogsThatAreSynced() async throws {
        let storage = SimulatedStorage(seed: 2)
        let log = try await openLog(on: storage, Self.configuration)
        try await fill(log, leaving: 10 << 10, acknowledge: .written)
        try await waitForSpare(log)
        try await log.roll()
        #expect(await log.reserved == 32 << 10)
        #expect(await log.zeroed == 0)
        try await log.close()
    }

    /// Where there is no space for it the log goes on, and does not try at every append.
    @Test func makingItMayFail() async throws {
        let storage = SimulatedStorage(seed: 3)
        let log = try await openLog(on: storage, Self.configuration)
        try await fill(log, leaving: 18 << 10)
        try await eventually("what runs ahead is over") { await !log.isPreparing }
        storage.inject(Fault(.noSpace, at: 1, of: .preallocate, isPersistent: true))
        try await fill(log, leaving: 2 << 10)
        try await eventually("it was tried") { await log.hasTriedSpare }
        #expect(try await !names(storage).contains(SegmentFiles.spareName))
        storage.clearFaults()
        try await fill(log, leaving: 1 << 10)
        #expect(await !log.hasSpare)
        try await log.roll()
        _ = try await log.append([Record("a")])
        try await log.close()
    }

    /// A full disk needs the space more.
    @Test func aFullDiskGetsItBack() async throws {
        let storage = SimulatedStorage(seed: 4)
        let log = try await openLog(on: storage, Self.configuration)
        try await fill(log, leaving: 10 << 10)
        try await waitForSpare(log)
        try await eventually("what runs ahead is over") { await !log.isPreparing }
        storage.inject(Fault(.noSpace, at: 1, of: .write))
        await expectLogError(.readOnly) { _ = try await log.append([Record("a")]) }
        #expect(await !log.hasSpare)
        #expect(try await !names(storage).contains(SegmentFiles.spareName))
        try await eventually("it takes appends again") { log.health == .writable }
        _ = try await log.append([Record("b")])
        try await log.close()
    }

    /// What a crash leaves of it is removed, wherever it came.
    @Test func aCrashLeavesNothing() async throws {
        for seed in seeds(20) {
            let storage = SimulatedStorage(seed: seed)
            let log = try await openLog(on: storage, Self.configuration)
            try await fill(log, leaving: 10 << 10)
            try await waitForSpare(log)
            let end = log.endOffset
            if seed % 2 == 0 { try await log.roll() }
            storage.crash(.bySeed)
            let again = try await openLog(on: storage, Self.configuration)
            #expect(again.endOffset == end, "seed \(seed)")
            #expect(try await !names(storage).contains(SegmentFiles.spareName), "seed \(seed)")
            _ = try await again.append([Record("a")])
            try await again.close()
        }
    }

    /// A roll that comes while it is in the making does not wait for it; closing does.
    @Test func closingWaitsForIt() async throws {
        let storage = SimulatedStorage(seed: 5)
        let log = try await openLog(on: storage, Self.configuration)
        try await fill(log, leaving: 18 << 10)
        try await eventually("what runs ahead is over") { await !log.isPreparing }
        storage.holdCompletions(of: [.preallocate])
        try await fill(log, leaving: 15 << 10)
        await storage.waitForHeld(1)
        try await log.roll()
        #expect(log.segmentCount == 2)
        let close = Task { try await log.close() }
        try await Task.sleep(for: .milliseconds(20))
        #expect(!log.isClosed)
        storage.releaseCompletions()
        try await close.value
        #expect(try await !names(storage).contains(SegmentFiles.spareName))
    }
}

extension PartitionLog {
    fileprivate var room: Int { active.room }
    fileprivate var reserved: Int { active.space.reserved }
    fileprivate var zeroed: Int { active.space.zeroed }
    fileprivate var isPreparing: Bool { active.space.step != nil }
    fileprivate var hasSpare: Bool { if case .ready = spare { true } else { false } }

    fileprivate var hasTriedSpare: Bool {
        if case .missing(let id?) = spare { id == active.header.id } else { false }
    }
}
