import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodLog

/// Random producers on a log that crashes: what survives decides everything.
private struct Producers {
    var random: SplitMix64
    var acknowledged: Int64 = 0

    /// One random operation. Errors of the rules are expected; returns false once the log failed.
    mutating func step(_ log: SimulatedLog) async throws -> Bool {
        let id = Int64(random.below(4))
        let known = await log.ledger.queued.producers[id]
        let acknowledge: Acknowledgement = [.durable, .written, .memory][random.below(3)]
        do throws(LogError) {
            switch random.below(12) {
            case 0...1:
                let end = try await log.append(
                    [Record("plain")], acknowledge: acknowledge
                ).upperBound
                note(end, acknowledge)
            case 2...4:
                let bump: Int16 = random.below(6) == 0 ? 1 : 0
                let offset = try await log.appendMarker(
                    random.coin() ? .abort : .commit, producerID: id,
                    epoch: (known?.epoch ?? 0) + bump,
                    coordinatorEpoch: max(0, known?.coordinatorEpoch ?? 0),
                    acknowledge: acknowledge)
                note(offset + 1, acknowledge)
            default:
                var sequence = known?.nextSequence ?? 0
                var count = 1 + random.below(3)
                if random.below(4) == 0, let again = known?.batches.randomElement(using: &random) {
                    sequence = again.firstSequence
                    count = Int(again.lastOffset - again.firstOffset) + 1
                }
                let records = (0..<count).map { Record("\(id) \($0) \(sequence)") }
                let end = try await log.append(
                    records,
                    producer: ProducerSequence(
                        producerID: id, epoch: known?.epoch ?? 0, baseSequence: sequence,
                        isTransactional: known?.transactionStart != nil || random.coin()),
                    acknowledge: acknowledge
                ).upperBound
                note(end, acknowledge)
            }
        } catch {
            return error.code != .storage && error.code != .poisoned
        }
        return true
    }

    private mutating func note(_ end: Int64, _ acknowledge: Acknowledgement) {
        if acknowledge == .durable { acknowledged = max(acknowledged, end) }
    }
}

extension PartitionLog {
    func checkpoint(every bytes: Int, snapshots: Int = 0) {
        checkpointBytes = bytes
        checkpointSnapshots = snapshots
    }

    /// Knows these producers from now on, as if they had appended.
    func know(_ states: ProducerStates) {
        var snapshot = ledger.published
        snapshot.states = states
        ledger = ProducerLedger(snapshot)
    }
}

/// What the batches of a whole log say, worked out the plain way.
private struct Replay {
    var states = ProducerStates()
    var aborted: [AbortedTransaction] = []
    var committed: [String] = []

    init(_ log: SimulatedLog) async throws {
        var batches: [RecordBatch] = []
        for try await batch in BatchSequence(
            log, from: log.startOffset, following: false, isolation: .logEnd)
        {
            batches.append(batch)
            guard let producer = ProducerBatch(batch) else { continue }
            let completed = states.absorb(producer, at: batch.baseOffset)
            if let completed, completed.marker == .abort { aborted.append(completed.transaction) }
        }
        let stable = states.firstUndecided ?? log.endOffset
        for batch in batches where batch.baseOffset < stable && !batch.isControl {
            let isAborted =
                batch.isTransactional
                && aborted.contains {
                    $0.producerID == batch.producer?.producerID
                        && $0.firstOffset <= batch.baseOffset && batch.baseOffset < $0.lastOffset
                }
            if !isAborted { committed += try batch.records().compactMap(\.text) }
        }
    }
}

@Suite(.timeLimit(.minutes(30))) struct ProducerRecoveryTests {
    private static var configuration: LogConfiguration {
        var configuration = LogConfiguration.small
        configuration.segmentBytes = SegmentHeader.byteCount + 1024
        return configuration
    }

    private func check(_ log: SimulatedLog, _ context: String) async throws {
        let replay = try await Replay(log)
        #expect(await log.ledger.published.states == replay.states, "\(context)")
        #expect(await log.ledger.queued == replay.states, "\(context)")
        #expect(log.lastStableOffset == replay.states.firstUndecided ?? log.endOffset, "\(context)")
        #expect(
            try await log.abortedTransactions(in: 0..<log.endOffset) == replay.aborted,
            "\(context)")
        #expect(try await log.texts(.committed) == replay.committed, "\(context)")
        for _ in 0..<3 {
            let start = log.endOffset / 3
            let from = try await log.texts(.committed, from: start)
            #expect(from == replay.committed.suffix(from.count), "\(context)")
        }
    }

    /// Kills at random operations; the state that is found is the one that the surviving batches
    /// give, and no acknowledged one is missing.
    @Test func theStateIsTheOneOfTheSurvivingBatches() async throws {
        var (batches, segments) = (0, 0)
        for seed in seeds(120) {
            let storage = SimulatedStorage(seed: seed)
            var producers = Producers(random: SplitMix64(seed: seed))
            for life in 0..<4 {
                let context = "seed \(seed), life \(life)"
                let log = try await openLog(on: storage, Self.configuration)
                #expect(log.endOffset >= producers.acknowledged, "\(context)")
                try await check(log, context)
                // With snapshots in the middle of segments, too, some ahead of what is durable.
                if seed % 2 == 0 { await log.checkpoint(every: 1 + producers.random.below(500)) }
                if producers.random.coin() {
                    storage.inject(
                        Fault(
                            .inputOutput, at: 1 + producers.random.below(120), isPersistent: true))
                }
                for _ in 0..<producers.random.below(60) {
                    guard try await producers.step(log) else { break }
                }
                storage.clearFaults()
                batches += log.statistics.groups
                segments = max(segments, log.segmentCount)
                if producers.random.below(3) == 0 {
                    do {
                        try await log.close()
                        producers.acknowledged = log.endOffset
                    } catch {}
                }
                storage.crash(
                    [.bySeed, .bySeed, .dropUnsynced, .keepAll][producers.random.below(4)])
            }
        }
        #expect(batches > 1000 && segments > 4, "\(batches) \(segments)")
    }

    /// A log with some segments, and producers of which one has an open transaction.
    private func sample(
        _ storage: SimulatedStorage, seed: UInt64 = 7, closing: Bool = true
    ) async throws -> SimulatedLog {
        let log = try await openLog(on: storage, Self.configuration)
        var producers = Producers(random: SplitMix64(seed: seed))
        for _ in 0..<120 { _ = try await producers.step(log) }
        _ = try await log.append([Record("end")])
        if closing { try await log.close() }
        return log
    }

    private func names(_ storage: SimulatedStorage, _ suffix: String) async throws -> [String] {
        try await storage.entries(of: logPath()).map(\.name).filter { $0.hasSuffix(suffix) }
    }

    private func content(_ storage: SimulatedStorage, _ name: String) async throws -> [UInt8] {
        let block = try await storage.content(
            of: logPath().appending(name), maximumBytes: 1 << 20)
        return try #require(block).array
    }

    private func overwrite(
        _ storage: SimulatedStorage, _ name: String, _ bytes: [UInt8]
    ) async throws {
        let file = try await storage.open(logPath().appending(name), .readWrite)
        try await file.truncate(to: 0)
        if !bytes.isEmpty {
            try await file.write(
                [FileWrite(at: 0, [MemorySlice(MemoryBlock(copying: bytes))])], thenSync: true)
        }
        await file.close()
    }

    /// Each snapshot lost or damaged, and all of them: the same state.
    @Test(arguments: ["missing", "cut", "zeroed", "flipped"])
    func damagedSnapshotsAreReplayedAround(_ damage: String) async throws {
        let storage = SimulatedStorage(seed: 1)
        var log = try await sample(storage)
        let snapshots = try await names(storage, ".snapshot")
        #expect(snapshots.count > 4)
        var gone = 0
        for name in snapshots.reversed() {
            let bytes = try await content(storage, name)
            var bad = bytes
            switch damage {
            case "missing": try await storage.remove(logPath().appending(name))
            case "cut": bad = Array(bytes[..<(bytes.count / 2)])
            case "zeroed": bad = [UInt8](repeating: 0, count: bytes.count)
            default: bad[bytes.count / 3] ^= 1
            }
            if damage != "missing" { try await overwrite(storage, name, bad) }
            gone += 1
            log = try await openLog(on: storage, Self.configuration)
            #expect(log.recovery.notes.count == (damage == "missing" ? 0 : gone))
            try await check(log, "\(damage) \(name)")
            storage.crash(.keepAll)
        }
    }

    /// Each transaction index lost or damaged is made anew, to equal bytes.
    @Test(arguments: ["missing", "cut", "zeroed", "flipped"])
    func damagedTransactionIndexesAreMadeAnew(_ damage: String) async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await sample(storage)
        #expect(log.segmentCount > 4)
        let indexes = try await names(storage, ".txnindex")
        #expect(indexes.count == log.segmentCount - 1)
        var original: [[UInt8]] = []
        for name in indexes {
            let bytes = try await content(storage, name)
            original.append(bytes)
            var bad = bytes
            switch damage {
            case "missing": try await storage.remove(logPath().appending(name))
            case "cut": bad = Array(bytes[..<100])
            case "zeroed": bad = [UInt8](repeating: 0, count: bytes.count)
            default: bad[65] ^= 8
            }
            if damage != "missing" { try await overwrite(storage, name, bad) }
        }
        let reopened = try await openLog(on: storage, Self.configuration)
        try await check(reopened, damage)
        for (name, bytes) in zip(indexes, original) {
            #expect(try await content(storage, name) == bytes, "\(name)")
        }
    }

    /// The more there is to write of producers, the less often.
    @Test func largeSnapshotsAreFurtherApart() async throws {
        let log = try await openLog(on: SimulatedStorage(seed: 1))
        // 64 bytes and 32 for the producer and each of its batches: 256 in all.
        await log.checkpoint(every: 1, snapshots: 32)
        for number in 0..<100 {
            _ = try await log.produce(
                sequence: Int32(number), String(repeating: "x", count: 400))
        }
        #expect(await log.producerSnapshotBytes == 256)
        let offsets = await log.producerSnapshots
        #expect((4...8).contains(offsets.count), "\(offsets)")
        for (last, next) in zip(offsets.dropFirst(2), offsets.dropFirst(3)) {
            #expect((next - last) * 500 >= 32 * 256)
        }
    }

    /// The end of an unknown producer's transaction is taken where there is no room for it; the
    /// snapshot of the next segment holds all that there is room for.
    @Test func aLogFullOfProducersHasItsSnapshots() async throws {
        let storage = SimulatedStorage(seed: 1)
        var log = try await openLog(on: storage)
        _ = try await log.produce(0, sequence: 0)
        var states = await log.ledger.published.states
        let now = SimulatedClock.defaultMilliseconds
        for id in 1..<Int64(ProducerStates.maximumProducers) {
            states.absorb(.marker(.commit, id, at: now), at: 0)
        }
        await log.know(states)
        await expectLogError(.tooManyProducers) { _ = try await log.produce(.max, sequence: 0) }
        _ = try await log.end(.commit, .max)
        #expect(await log.ledger.published.states.count == ProducerStates.maximumProducers)
        try await log.roll()
        #expect(await log.producerSnapshots.contains(2))
        storage.crash(.dropUnsynced)
        log = try await openLog(on: storage)
        #expect(await log.ledger.published.states == states)
    }

    /// A replay finds producers again that the log had forgotten to make room.
    @Test func aReplayKeepsNoMoreProducersThanALogDoes() {
        var states = ProducerStates()
        for id in Int64(0)..<10 {
            states.absorb(.records(id, 0, transactional: id == 3, at: id), at: id)
        }
        states.bound(to: 12)
        #expect(states.count == 10)
        states.bound(to: 4)
        #expect(states.producers.keys.sorted() == [3, 7, 8, 9])
        #expect(states.firstUndecided == 3)
    }

    @Test func aLogWithoutProducersHasNoneOfTheirFiles() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage, Self.configuration)
        for number in 0..<60 { _ = try await log.append([Record("\(number) of a plain log")]) }
        #expect(log.segmentCount > 3)
        try await log.close()
        #expect(try await names(storage, ".snapshot").isEmpty)
        #expect(try await names(storage, ".txnindex").isEmpty)
    }

    /// Snapshots go when their segments do, and those of a closing when the next one is written.
    @Test func snapshotsGoWithTheirSegments() async throws {
        let storage = SimulatedStorage(seed: 1)
        _ = try await sample(storage)
        let log = try await openLog(on: storage, Self.configuration)
        let before = try await names(storage, ".snapshot").count
        _ = try await log.deleteRecords(before: log.endOffset / 2)
        try await log.roll()
        #expect(try await names(storage, ".snapshot").count < before)
        let state = await log.ledger.published.states
        for name in try await names(storage, ".snapshot") {
            #expect(Int64(name.dropLast(9))! >= log.startOffset - 40, "\(name)")
        }
        // What the deleted batches said is not forgotten.
        storage.crash(.dropUnsynced)
        #expect(
            await (try openLog(on: storage, Self.configuration)).ledger.published.states == state)
    }
}
