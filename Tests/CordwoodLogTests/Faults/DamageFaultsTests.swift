import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodLog

// The twenty-five faults that a log must pass, by their numbers in docs/durability.md: those of files
// that are not what was written, and of state that must be the same after a crash.
@Suite(.timeLimit(.minutes(30))) struct DamageFaultsTests {
    /// A log of several segments, closed, and what is in it.
    private func sample() async throws -> (storage: SimulatedStorage, records: [StoredRecord]) {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage, .smallWithoutTail)
        for number in 0..<14 {
            _ = try await log.append([
                Record(key: [UInt8(number)], value: [UInt8](repeating: 7, count: 150 + number))
            ])
        }
        #expect(log.segmentCount > 1)
        let records = try await log.all()
        try await log.close()
        return (storage, records)
    }

    private func first(_ storage: SimulatedStorage, _ suffix: String) throws -> StoragePath {
        try #require(storage.files.first { $0.description.hasSuffix(suffix) })
    }

    @Test func fault06EachByteOfAHeaderIsFlipped() async throws {
        let (original, records) = try await sample()
        let path = try first(original, ".log")
        // The second batch: one is before it, and others behind.
        let start = SegmentHeader.byteCount + (try await length(of: 0, in: original))
        for byte in 0..<BatchHeader.byteCount {
            let (storage, _) = try await sample()
            try storage.flip(path, byte: start + byte, mask: 0x10)
            let log = try await openLog(on: storage, .smallWithoutTail)
            await expectLogError(.damaged, "byte \(byte)") { _ = try await log.all(from: 1) }
            let readable = try await log.allReadable()
            #expect(readable == records.filter { $0.offset != 1 }, "byte \(byte)")
            #expect(try await !log.verify().isSound)
        }
    }

    private func length(of offset: Int64, in storage: SimulatedStorage) async throws -> Int {
        let log = try await openLog(on: storage, .smallWithoutTail)
        let batch = try #require(try await log.read(from: offset, maximumBytes: 1).first)
        try await log.close()
        return batch.byteCount
    }

    @Test func fault07DamageBelowTheWatermarkIsQuarantined() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage, .smallWithoutTail)
        for number in 0..<5 { _ = try await log.append([Record("\(number)")]) }
        storage.crash(.dropUnsynced)
        let path = try first(storage, ".log")
        try storage.flip(path, byte: SegmentHeader.byteCount + 62)
        let found = try await openLog(on: storage, .smallWithoutTail)
        #expect(!found.recovery.quarantined.isEmpty && found.endOffset == 5)
        await expectLogError(.damaged) { _ = try await found.all() }
        let readable = try await found.allReadable().map(\.text)
        #expect(readable == ["1", "2", "3", "4"], "\(readable), \(found.recovery)")
        #expect(try await found.append([Record("5")]) == 5..<6)
    }

    @Test(arguments: ["missing", "cut", "zeroed", "flipped"])
    func fault19AnIndexIsRebuiltToEqualBytes(damage: String) async throws {
        for suffix in [".index", ".timeindex"] {
            let (storage, records) = try await sample()
            let path = try first(storage, suffix)
            let before = try #require(storage.contents(of: path))
            switch damage {
            case "missing":
                try await storage.remove(path)
                try await storage.syncDirectory(path.parent)
            case "cut": try storage.cut(path, to: before.count / 2)
            case "zeroed": try storage.zero(path, 0..<before.count)
            default: try storage.flip(path, byte: before.count / 3)
            }
            let log = try await openLog(on: storage, .smallWithoutTail)
            #expect(try await log.all() == records)
            _ = try await log.offset(for: .atOrAfter(0))
            try await log.close()
            #expect(storage.contents(of: path) == before, "\(suffix), \(damage)")
        }
    }

    @Test func fault20AStaleOrDamagedSnapshotCostsOnlyTime() async throws {
        let original = SimulatedStorage(seed: 1)
        var log = try await openLog(on: original, .smallWithoutTail)
        for number in Int32(0)..<20 {
            _ = try await log.append(
                [Record("\(number)" + String(repeating: "x", count: 120))],
                producer: ProducerSequence(producerID: 5, epoch: 0, baseSequence: number))
        }
        let expected = await log.ledger.published.states
        try await log.close()
        let snapshots = original.files.filter { $0.description.hasSuffix(".snapshot") }
        #expect(!snapshots.isEmpty)
        for way in 0..<4 {
            for path in snapshots {
                let size = try #require(original.contents(of: path)).count
                switch way {
                case 0: try original.flip(path, byte: size / 2)
                case 1: try original.cut(path, to: size / 3)
                case 2: try original.zero(path, 0..<size)
                default: try await original.remove(path)
                }
            }
            log = try await openLog(on: original, .smallWithoutTail)
            #expect(await log.ledger.published.states == expected, "way \(way)")
            try await log.close()
        }
    }

    /// A log that was closed says so by its watermark and seals; none of them is a reason to believe
    /// bytes.
    @Test func fault21AClosedLogIsStillVerified() async throws {
        let (storage, records) = try await sample()
        let path = try #require(
            storage.files.last { $0.description.hasSuffix(".log") })
        try storage.flip(path, byte: SegmentHeader.byteCount + 70)
        let log = try await openLog(on: storage, .smallWithoutTail)
        #expect(try await log.allReadable().allSatisfy { records.contains($0) })
        #expect(try await !log.verify().isSound)
    }

    @Test func fault23ProducersAndTransactionsAreTheSameAfterACrash() async throws {
        for operation in 1...60 {
            let storage = SimulatedStorage(seed: UInt64(operation))
            let log = try await openLog(on: storage, .smallWithoutTail)
            storage.inject(Fault(.powerCut, at: operation))
            var sequence: Int32 = 0
            do {
                for number in 0..<10 {
                    _ = try await log.append(
                        [Record("\(number)")],
                        producer: ProducerSequence(
                            producerID: 1, epoch: 0, baseSequence: sequence, isTransactional: true))
                    sequence += 1
                    if number % 3 == 2 {
                        _ = try await log.appendMarker(
                            number % 2 == 0 ? .commit : .abort, producerID: 1, epoch: 0,
                            coordinatorEpoch: 0)
                    }
                }
            } catch { #expect(error.code == .storage || error.code == .poisoned, "\(error)") }
            storage.clearFaults()
            storage.crash(operation % 2 == 0 ? .dropUnsynced : .bySeed)
            let found = try await openLog(on: storage, .smallWithoutTail)
            let state = await found.ledger.published.states
            // The same as of a log that reads all its batches from the start.
            for path in storage.files where path.description.hasSuffix(".snapshot") {
                try await storage.remove(path)
            }
            try await found.close()
            for path in storage.files where path.description.hasSuffix(".snapshot") {
                try await storage.remove(path)
            }
            let rebuilt = try await openLog(on: storage, .smallWithoutTail)
            #expect(await rebuilt.ledger.published.states == state, "operation \(operation)")
            // What was acknowledged is known as a duplicate, what was not is taken.
            if sequence > 0 {
                let again = try await rebuilt.append(
                    [Record("again")],
                    producer: ProducerSequence(
                        producerID: 1, epoch: 0, baseSequence: sequence - 1, isTransactional: true))
                #expect(again.upperBound <= rebuilt.endOffset)
                #expect(try await !rebuilt.all().map(\.text).contains("again"))
            }
        }
    }

    @Test func fault25AStrangersFilesAreRefused() async throws {
        let storage = SimulatedStorage(seed: 1)
        let lock = try await storage.lock(path("LOCK"))
        await #expect(throws: StorageError.self) { _ = try await storage.lock(path("LOCK")) }
        _ = lock
        // Two segments of one log change places.
        let (swapped, records) = try await sample()
        let segments = swapped.files.filter { $0.description.hasSuffix(".log") }
        let aside = try path("log/aside")
        try await swapped.rename(segments[0], to: aside)
        try await swapped.rename(segments[1], to: segments[0])
        try await swapped.rename(aside, to: segments[1])
        do {
            let log = try await openLog(on: swapped, .smallWithoutTail)
            #expect(try await log.allReadable().allSatisfy { records.contains($0) })
            #expect(try await !log.verify().isSound)
        } catch let error as LogError {
            #expect(error.code == .inconsistent || error.code == .damaged, "\(error)")
        }
        // A write that lands elsewhere is noticed where it was meant to go, and where it went.
        for seed in seeds(40) {
            let storage = SimulatedStorage(seed: seed)
            let log = try await openLog(on: storage, .smallWithoutTail)
            for number in 0..<6 {
                if number == 3 { storage.inject(Fault(.misdirected, at: 1, of: .write)) }
                _ = try await log.append([Record("\(number)" + String(repeating: "x", count: 90))])
            }
            storage.crash(.dropUnsynced)
            do {
                let found = try await openLog(on: storage, .smallWithoutTail)
                for record in try await found.allReadable() {
                    #expect(record.text?.hasPrefix("\(record.offset)") == true, "seed \(seed)")
                }
                let isTold =
                    try await !found.verify().isSound || !found.recovery.notes.isEmpty
                    || !found.recovery.quarantined.isEmpty
                #expect(isTold, "seed \(seed): \(found.recovery)")
            } catch let error as LogError {
                #expect(error.code == .damaged || error.code == .inconsistent, "\(error)")
            }
        }
    }
}
