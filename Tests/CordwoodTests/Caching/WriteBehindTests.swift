import CordwoodSimulation
import CordwoodStorage
import Synchronization
import TestSupport
import Testing

@testable import Cordwood
@testable import CordwoodLog

/// An origin that remembers what was written to it, and that may be slow or fail.
private final class SlowOrigin: Sendable {
    struct Failed: Error {}

    private struct State {
        var values: [[UInt8]: [UInt8]] = [:]
        var written: [Int64] = []
        var failures = 0
    }

    private let state = Mutex(State())
    let gate = Gate()

    init(isOpen: Bool = true) { if isOpen { gate.open() } }

    var written: [Int64] { state.withLock { $0.written } }
    var values: [[UInt8]: [UInt8]] { state.withLock { $0.values } }
    func fail(_ times: Int) { state.withLock { $0.failures = times } }

    func source(_ group: ConsumerGroup, _ change: (inout WriteBehind) -> Void = { _ in })
        -> ViewSource
    {
        var behind = WriteBehind(group: group) { record in
            await self.gate.pass()
            try self.state.withLock { state in
                if state.failures > 0 {
                    state.failures -= 1
                    throw Failed()
                }
                state.values[record.record.key!] = record.record.value
                state.written.append(record.record.offset)
            }
        }
        behind.retryPause = .microseconds(100)
        behind.maximumRetryPause = .milliseconds(1)
        change(&behind)
        return .origin({ key in self.values[key] }, writingBehind: behind)
    }
}

@Suite(.timeLimit(.minutes(10))) struct WriteBehindTests {
    /// Nobody waits for the origin, and nobody reads what it has not got yet.
    @Test func aValueIsThereBeforeTheOriginHasIt() async throws {
        let database = try await Database.open(on: SimulatedStorage(seed: 1))
        let topic = try await database.topic("values")
        let group = try await database.consumerGroup("origin")
        let origin = SlowOrigin(isOpen: false)
        // Memory has room for one entry: the others are asked for anew.
        let view = try await topic.cachedView(
            .init(capacityBytes: 200), from: origin.source(group))
        for number in 0..<10 { try await view.write(bytes("\(number)"), for: [UInt8(number % 5)]) }
        try await view.write(nil, for: [2])
        for key in 0..<5 as Range<UInt8> {
            let expected: String? = key == 2 ? nil : "\(key + 5)"
            #expect(try await view.value(for: [key]).text == expected)
        }
        #expect(origin.written.isEmpty)
        #expect(view.statistics.pendingRecords == 11)
        origin.gate.open()
        try await view.flushToOrigin()
        // In the order of the log, and so of each key.
        #expect(origin.written == Array(0...10))
        #expect(
            origin.values == [[0]: bytes("5"), [1]: bytes("6"), [3]: bytes("8"), [4]: bytes("9")])
        for key in 0..<5 as Range<UInt8> {
            #expect(try await view.value(for: [key]).value == origin.values[[key]])
        }
        await view.close()
        #expect(await group.committed(TopicPartition("values", 0))?.offset == 11)
        try await database.close()
    }

    /// What a power cut could take from the log is not written, whatever its writer waited for.
    @Test func theOriginGetsOnlyWhatIsDurable() async throws {
        let database = try await Database.open(on: SimulatedStorage(seed: 1))
        let topic = try await database.topic("values")
        let wereDurable = Mutex<[Bool]>([])
        let behind = WriteBehind(group: try await database.consumerGroup("origin")) { record in
            let end = topic[0].durableOffset
            wereDurable.withLock { $0.append(end > record.record.offset) }
        }
        let view = try await topic.cachedView(
            .init(capacityBytes: 1 << 20), from: .origin({ _ in nil }, writingBehind: behind))
        for number in 0..<3 as Range<UInt8> {
            try await view.write([number], for: [1], acknowledge: .written)
        }
        try await view.flushToOrigin()
        #expect(wereDurable.withLock { $0 } == [true, true, true])
        await view.close()
        try await database.close()
    }

    @Test func aWriteThatFailsIsTriedAgain() async throws {
        let database = try await Database.open(on: SimulatedStorage(seed: 1))
        let topic = try await database.topic("values")
        let origin = SlowOrigin()
        let view = try await topic.cachedView(
            .init(capacityBytes: 1 << 20),
            from: origin.source(try await database.consumerGroup("origin")))
        origin.fail(7)
        try await view.write(bytes("1"), for: [1])
        try await view.write(bytes("2"), for: [1])
        try await view.flushToOrigin()
        #expect(origin.written == [0, 1])
        #expect(view.statistics.originFailures == 7)
        #expect(view.statistics.lastOriginError == nil)
        origin.fail(1 << 30)
        try await view.write(bytes("3"), for: [1])
        try await eventually("it is told") { view.statistics.lastOriginError != nil }
        #expect(view.statistics.lastOriginError?.contains("values[0], offset 2") == true)
        // Closing does not wait for an origin that is gone.
        await view.close()
        try await database.close()
    }

    /// With no more on the way than the bound, writers wait; nothing is lost by it.
    @Test func aSlowOriginHoldsItsWritersBack() async throws {
        let database = try await Database.open(on: SimulatedStorage(seed: 1))
        let topic = try await database.topic("values")
        let origin = SlowOrigin(isOpen: false)
        var configuration = CachedViewConfiguration(capacityBytes: 1 << 20)
        configuration.readDeadline = .seconds(3600)  // Writers wait as long as the test does.
        let view = try await topic.cachedView(
            configuration,
            from: origin.source(try await database.consumerGroup("origin")) {
                $0.maximumPendingRecords = 4
            })
        let writer = Task {
            for number in 0..<20 { try await view.write(bytes("\(number)"), for: [UInt8(number)]) }
        }
        try await eventually("it is full") { view.statistics.pendingRecords == 4 }
        try await eventually("the next one is in the log") { topic[0].endOffset == 5 }
        for _ in 0..<100 { await Task.yield() }
        #expect(topic[0].endOffset == 5)
        #expect(view.offsets == [4])
        origin.gate.open()
        try await writer.value
        try await view.flushToOrigin()
        #expect(origin.written == Array(0..<20))
        await view.close()
        try await database.close()
    }

    /// Whatever is lost with the power, the origin has each key's latest record in the end, and within a
    /// life the records come in order.
    @Test(arguments: 1...12 as ClosedRange<UInt64>)
    func aRestartGoesOnWhereItWas(seed: UInt64) async throws {
        let storage = SimulatedStorage(seed: seed)
        var random = SplitMix64(seed: seed)
        let origin = SlowOrigin()
        for _ in 0..<4 {
            let database = try await Database.open(on: storage)
            let topic = try await database.topic(
                "values",
                .init(partitions: 2, log: .init(segmentBytes: 30_000, maxMessageBytes: 8_000)))
            let group = try await database.consumerGroup("origin")
            let view = try await topic.cachedView(
                .init(capacityBytes: 1 << 20),
                from: origin.source(group) { $0.commitEveryRecords = 3 })
            let before = origin.written.count
            origin.fail(random.below(4))
            for _ in 0..<random.below(30) {
                let value = random.below(5) == 0 ? nil : bytes("\(random.next())")
                try await view.write(value, for: [UInt8(random.below(6))])
            }
            if random.coin() {
                storage.inject(Fault(.powerCut, at: 1 + random.below(8), isPersistent: true))
                do { for _ in 0..<20 { try await view.write(bytes("x"), for: [9]) } } catch {}
                #expect(storage.isDown)
            } else if random.coin() {
                try await view.flushToOrigin()
            }
            await view.close()
            try? await database.close()
            storage.clearFaults()
            if storage.isDown { storage.crash() }
            if origin.written.count > before {
                // Nothing is written twice in one life: no offset of a partition comes again.
                let offsets = origin.written[before...]
                #expect(Dictionary(grouping: offsets) { $0 }.values.allSatisfy { $0.count <= 2 })
            }
        }
        let database = try await Database.open(on: storage)
        let topic = try await database.topic(
            "values",
            .init(partitions: 2, log: .init(segmentBytes: 30_000, maxMessageBytes: 8_000)))
        let view = try await topic.cachedView(
            .init(capacityBytes: 1 << 20),
            from: origin.source(try await database.consumerGroup("origin")))
        try await view.flushToOrigin()
        var latest: [[UInt8]: [UInt8]] = [:]
        for partition in topic.partitions {
            for try await record in partition.records(from: 0, following: false) {
                latest[record.key!] = record.value
            }
        }
        #expect(origin.values == latest, "seed \(seed)")
        await view.close()
        try await database.close()
    }
}
