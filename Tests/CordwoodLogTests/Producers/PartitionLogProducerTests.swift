import CordwoodSimulation
import CordwoodStorage
import Synchronization
import Testing

@testable import CordwoodLog

extension Log {
    /// Appends `count` records of a producer.
    func produce(
        _ id: Int64 = 1, epoch: Int16 = 0, sequence: Int32, count: Int = 1,
        transactional: Bool = false, acknowledge: Acknowledgement = .durable, _ text: String = "r"
    ) async throws -> Range<Int64> {
        try await append(
            (0..<count).map { Record("\(text) \(id)/\(epoch)/\(Int(sequence) + $0)") },
            producer: ProducerSequence(
                producerID: id, epoch: epoch, baseSequence: sequence,
                isTransactional: transactional), acknowledge: acknowledge)
    }

    func end(
        _ marker: TransactionMarker, _ id: Int64 = 1, epoch: Int16 = 0, coordinator: Int32 = 0
    ) async throws -> Int64 {
        try await appendMarker(
            marker, producerID: id, epoch: epoch, coordinatorEpoch: coordinator,
            acknowledge: .durable)
    }

    func texts(_ isolation: Isolation, from start: Int64 = 0) async throws -> [String?] {
        var texts: [String?] = []
        let records = RecordSequence(self, from: start, following: false, isolation: isolation)
        for try await record in records { texts.append(record.text) }
        return texts
    }
}

@Suite(.timeLimit(.minutes(30))) struct PartitionLogProducerTests {
    @Test func aBatchThatIsSentAgainKeepsItsOffsets() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage)
        #expect(try await log.produce(sequence: 0, count: 3) == 0..<3)
        #expect(try await log.append([Record("other")]) == 3..<4)
        #expect(try await log.produce(sequence: 3) == 4..<5)
        #expect(try await log.produce(sequence: 0, count: 3) == 0..<3)
        #expect(try await log.produce(sequence: 3) == 4..<5)
        #expect(log.endOffset == 5 && log.statistics.duplicateBatches == 2)
        await expectLogError(.outOfOrderSequence) { _ = try await log.produce(sequence: 5) }
        await expectLogError(.outOfOrderSequence) { _ = try await log.produce(sequence: 0) }
        for sequence in 4..<8 { _ = try await log.produce(sequence: Int32(sequence)) }
        #expect(try await log.produce(sequence: 3) == 4..<5)
        // The sixth back is forgotten.
        await expectLogError(.outOfOrderSequence) {
            _ = try await log.produce(sequence: 0, count: 3)
        }
        #expect(log.endOffset == 9)
        let expected = ProducerDescription(
            producerID: 1, epoch: 0, lastSequence: 7,
            lastTimestamp: SimulatedClock.defaultMilliseconds, coordinatorEpoch: nil,
            transactionStart: nil)
        #expect(await log.producers() == [expected])
        try await log.close()
        let reopened = try await openLog(on: storage)
        #expect(await reopened.producers() == [expected])
        #expect(try await reopened.produce(sequence: 7) == 8..<9)
        #expect(try await reopened.produce(sequence: 8) == 9..<10)
    }

    @Test func laterEpochsFenceEarlierOnes() async throws {
        let log = try await openLog(on: SimulatedStorage(seed: 1))
        _ = try await log.produce(epoch: 3, sequence: 0)
        await expectLogError(.producerFenced) { _ = try await log.produce(epoch: 2, sequence: 0) }
        await expectLogError(.outOfOrderSequence) {
            _ = try await log.produce(epoch: 4, sequence: 1)
        }
        _ = try await log.produce(epoch: 4, sequence: 0)
        await expectLogError(.producerFenced) { _ = try await log.produce(epoch: 3, sequence: 1) }
        _ = try await log.end(.abort, epoch: 5, coordinator: 2)
        await expectLogError(.producerFenced) { _ = try await log.produce(epoch: 4, sequence: 1) }
        await expectLogError(.producerFenced) { _ = try await log.end(.commit, epoch: 4) }
        await expectLogError(.coordinatorFenced) {
            _ = try await log.end(.commit, epoch: 5, coordinator: 1)
        }
        #expect(try await log.texts(.committed) == ["r 1/3/0", "r 1/4/0"])
    }

    @Test func badProducersAreRefused() async throws {
        let log = try await openLog(on: SimulatedStorage(seed: 1), .small)
        for (id, epoch, sequence) in [(-1, 0, 0), (-9, 0, 0), (1, -1, 0), (1, 0, -1), (1, 0, -9)]
            as [(Int64, Int16, Int32)]
        {
            await expectLogError(.invalidProducer, "\(id) \(epoch) \(sequence)") {
                _ = try await log.produce(id, epoch: epoch, sequence: sequence)
            }
        }
        await expectLogError(.invalidProducer) { _ = try await log.end(.commit, -1) }
        await expectLogError(.invalidProducer) { _ = try await log.end(.commit, epoch: -1) }
        let records = [Record](repeating: Record(String(repeating: "x", count: 400)), count: 5)
        #expect(try log.batches(records) == [2, 2, 1])
        await expectLogError(.invalidProducer) {
            _ = try await log.append(
                records, producer: ProducerSequence(producerID: 1, epoch: 0, baseSequence: 0),
                acknowledge: .durable)
        }
        #expect(log.endOffset == 0)
        #expect(await log.producers() == [])
    }

    @Test func transactionsBecomeVisibleWhenTheyAreDecided() async throws {
        let storage = SimulatedStorage(seed: 1)
        var log = try await openLog(on: storage)
        _ = try await log.produce(1, sequence: 0, transactional: true)  // 0
        _ = try await log.append([Record("plain")])  // 1
        _ = try await log.produce(2, sequence: 0, transactional: true)  // 2
        await expectLogError(.invalidTransactionState) {
            _ = try await log.produce(1, sequence: 1)
        }
        #expect(log.lastStableOffset == 0)
        #expect(try await log.texts(.committed).isEmpty)
        #expect(try await log.texts(.uncommitted) == ["r 1/0/0", "plain", "r 2/0/0"])
        #expect(try await log.end(.commit, 1) == 3)
        #expect(log.lastStableOffset == 2)
        #expect(try await log.texts(.committed) == ["r 1/0/0", "plain"])
        #expect(try await log.end(.abort, 2) == 4)
        #expect(log.lastStableOffset == 5)
        let aborted = AbortedTransaction(
            producerID: 2, firstOffset: 2, lastOffset: 4, lastStableOffset: 5)
        for life in 0..<3 {
            #expect(try await log.texts(.committed) == ["r 1/0/0", "plain"], "\(life)")
            #expect(try await log.texts(.logEnd) == ["r 1/0/0", "plain", "r 2/0/0"])
            #expect(try await log.abortedTransactions(in: 0..<5) == [aborted])
            #expect(try await log.abortedTransactions(in: 0..<2) == [])
            #expect(try await log.abortedTransactions(in: 3..<4) == [aborted])
            let batches = try await log.read(from: 0, maximumBytes: 1 << 20)
            #expect(batches.map(\.marker) == [nil, nil, nil, .commit, .abort])
            #expect(
                batches.map { $0.producer?.producerID } == [1, nil, 2, 1, 2])
            try await log.close()
            if life == 1 { storage.crash(.keepAll) }
            log = try await openLog(on: storage)
        }
        // A marker again ends nothing.
        _ = try await log.end(.abort, 1)
        #expect(try await log.texts(.committed) == ["r 1/0/0", "plain"])
    }

    /// A follower of committed records must wait, not spin, where all is aborted.
    @Test func followersOfCommittedRecordsPassAbortedOnes() async throws {
        let log = try await openLog(on: SimulatedStorage(seed: 1), .small)
        let seen = Mutex<[String?]>([])
        let follower = Task {
            let records = RecordSequence(log, from: 0, following: true, isolation: .committed)
            for try await record in records { seen.withLock { $0.append(record.text) } }
        }
        for number in 0..<30 {
            _ = try await log.produce(1, sequence: Int32(number), transactional: true)
            _ = try await log.end(.abort, 1)
        }
        _ = try await log.append([Record("seen")])
        _ = try await log.produce(1, sequence: 30, transactional: true)
        try await eventually("what is decided is read") { seen.withLock { $0 } == ["seen"] }
        _ = try await log.end(.commit, 1)
        try await eventually("what was committed is read") {
            seen.withLock { $0 } == ["seen", "r 1/0/30"]
        }
        try await log.close()
        try await follower.value
    }

    /// Until replicas have the marker, nothing is decided.
    @Test func theHighWatermarkHoldsTheLastStableOffsetBack() async throws {
        let log = try await openLog(on: SimulatedStorage(seed: 1))
        _ = try await log.append([Record("a")])  // 0
        _ = try await log.produce(1, sequence: 0, transactional: true)  // 1
        _ = try await log.append([Record("b")])  // 2
        log.setHighWatermark(3)
        _ = try await log.end(.abort, 1)  // 3
        _ = try await log.append([Record("c")])  // 4
        #expect(log.lastStableOffset == 1)
        #expect(try await log.texts(.committed) == ["a"])
        log.setHighWatermark(4)
        #expect(log.lastStableOffset == 4)
        #expect(try await log.texts(.committed) == ["a", "b"])
        log.setHighWatermark(nil)
        #expect(try await log.texts(.committed) == ["a", "b", "c"])
    }

    @Test func aDuplicateWaitsForTheOriginal() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage)
        _ = try await log.produce(1, sequence: 0)
        storage.holdCompletions(of: [.write, .sync])
        let original = Task { try await log.produce(1, sequence: 1, acknowledge: .written) }
        try await eventually("the original is queued") { await log.queuedEnd == 2 }
        let done = Flag()
        let again = Task {
            let offsets = try await log.produce(1, sequence: 1, acknowledge: .durable)
            done.set()
            return offsets
        }
        #expect(try await log.produce(1, sequence: 1, acknowledge: .memory) == 1..<2)
        try await Task.sleep(for: .milliseconds(20))
        #expect(!done.isSet)
        storage.releaseCompletions()
        #expect(try await again.value == 1..<2)
        #expect(try await original.value == 1..<2)
        // It is as durable as the second asked for.
        #expect(log.durableOffset == 2)
        storage.crash(.dropUnsynced)
        #expect(try await openLog(on: storage).endOffset == 2)
    }

    @Test func aDuplicateFailsWithTheOriginal() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage)
        _ = try await log.produce(1, sequence: 0)
        storage.holdCompletions(of: [.write, .sync])
        storage.inject(Fault(.inputOutput, at: 1, isPersistent: true))
        let original = Task { try await log.produce(1, sequence: 1) }
        try await eventually("the original is queued") { await log.queuedEnd == 2 }
        let again = Task { try await log.produce(1, sequence: 1) }
        try await Task.sleep(for: .milliseconds(10))
        storage.releaseCompletions()
        await #expect(throws: LogError.self) { try await original.value }
        await #expect(throws: LogError.self) { try await again.value }
        #expect(await log.producers().first?.lastSequence == 0)
        // What was queued is forgotten with it.
        let (queued, written) = await (log.ledger.queued, log.ledger.published.states)
        #expect(queued == written)
    }

    @Test func idleProducersExpire() async throws {
        let storage = SimulatedStorage(seed: 1)
        var configuration = LogConfiguration()
        configuration.producerIDExpirationMilliseconds = 1000
        let log = try await openLog(on: storage, configuration)
        _ = try await log.produce(1, sequence: 0)
        _ = try await log.produce(2, sequence: 0, transactional: true)
        let now = SimulatedClock.defaultMilliseconds
        await log.expireProducers(now: now + 999)
        #expect(await log.producers().count == 2)
        await log.expireProducers(now: now + 1000)
        #expect(await log.producers().map(\.producerID) == [2])
        // Nobody knows what it sent before.
        _ = try await log.produce(1, sequence: 77)
        #expect(await log.producers().first?.lastSequence == 77)
        _ = try await log.end(.commit, 2)
        await log.expireProducers(now: now + 5000)
        #expect(await log.producers().isEmpty)
    }

    /// What a producer does after it was forgotten is found again, although the batches from before
    /// have a higher epoch.
    @Test func aProducerThatComesBackWithALowerEpochIsRecovered() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage)
        _ = try await log.produce(1, epoch: 5, sequence: 0)
        _ = try await log.end(.commit, 1, epoch: 5, coordinator: 3)
        await log.expireProducers(now: .max)
        _ = try await log.produce(1, epoch: 3, sequence: 7, transactional: true)
        let states = await log.ledger.published.states
        #expect(log.lastStableOffset == 2)
        storage.crash(.dropUnsynced)
        let reopened = try await openLog(on: storage)
        #expect(await reopened.ledger.published.states == states)
        #expect(reopened.lastStableOffset == 2)
        #expect(try await reopened.produce(1, epoch: 3, sequence: 7, transactional: true) == 2..<3)
        _ = try await reopened.end(.abort, 1, epoch: 3, coordinator: 0)
        #expect(try await reopened.texts(.committed) == ["r 1/5/0"])
    }

    /// A snapshot of what was cut away is not found again behind what took its place.
    @Test func aTruncationTakesSnapshotsAway() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage, .small)
        for number in 0..<60 { _ = try await log.produce(1, sequence: Int32(number), "a text") }
        try await log.roll()
        _ = try await log.truncate(to: 10)
        for number in 0..<80 { _ = try await log.append([Record("plain \(number)")]) }
        let states = await log.ledger.published.states
        storage.crash(.dropUnsynced)
        let reopened = try await openLog(on: storage, .small)
        #expect(reopened.endOffset == 90)
        #expect(await reopened.ledger.published.states == states)
        #expect(await reopened.producers().first?.lastSequence == 9)
    }

    @Test func aTruncationTakesTheStateBack() async throws {
        let storage = SimulatedStorage(seed: 1)
        var log = try await openLog(on: storage, .small)
        for number in 0..<40 {
            _ = try await log.produce(
                1, sequence: Int32(number), transactional: number >= 20, "a longer text")
        }
        #expect(log.segmentCount > 1)
        _ = try await log.end(.abort, 1)
        #expect(log.lastStableOffset == 41)
        #expect(try await log.truncate(to: 30) == 30)
        #expect(log.lastStableOffset == 20)
        #expect(await log.producers().first?.lastSequence == 29)
        await expectLogError(.outOfOrderSequence) {
            _ = try await log.produce(1, sequence: 31, transactional: true)
        }
        #expect(try await log.produce(1, sequence: 29, transactional: true) == 29..<30)
        #expect(try await log.produce(1, sequence: 30, transactional: true) == 30..<31)
        try await log.close()
        log = try await openLog(on: storage, .small)
        #expect(log.lastStableOffset == 20)
        #expect(try await log.end(.commit, 1) == 31)
        #expect(try await log.texts(.committed).count == 31)
        _ = try await log.truncate(to: 3)
        #expect(await log.producers().first?.lastSequence == 2)
        #expect(log.lastStableOffset == 3)
    }
}

/// Something that happens once.
private final class Flag: Sendable {
    private let value = Mutex(false)
    func set() { value.withLock { $0 = true } }
    var isSet: Bool { value.withLock { $0 } }
}
