import CordwoodCache
import CordwoodSimulation
import CordwoodStorage
import Synchronization
import TestSupport
import Testing

@testable import Cordwood
@testable import CordwoodLog

/// Values of an origin, as somebody else changes them.
final class Origin: Sendable {
    private let values = Mutex<[[UInt8]: [UInt8]]>([:])
    private let loadCount = Atomic<Int>(0)
    var loads: Int { loadCount.load(ordering: .relaxed) }

    subscript(_ key: [UInt8]) -> [UInt8]? {
        get { values.withLock { $0[key] } }
        set { values.withLock { $0[key] = newValue } }
    }

    func load(_ key: [UInt8]) -> [UInt8]? {
        loadCount.add(1, ordering: .relaxed)
        return self[key]
    }

    var source: ViewSource { .origin { self.load($0) } }
}

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

private func open(
    _ log: LogConfiguration = .init(), seed: UInt64 = 1, partitions: Int = 1
) async throws -> (Database, Topic, SimulatedStorage) {
    let storage = SimulatedStorage(seed: seed)
    let database = try await Database.open(on: storage)
    let topic = try await database.topic("values", .init(partitions: partitions, log: log))
    return (database, topic, storage)
}

@Suite(.timeLimit(.minutes(10))) struct CachedViewTests {
    // MARK: The latest record

    @Test func theLatestRecordIsTheValue() async throws {
        let (database, topic, _) = try await open(partitions: 3)
        var model: [[UInt8]: [UInt8]] = [:]
        for number in 0..<60 {
            let key = bytes("key \(number % 20)")
            let value = number % 7 == 0 ? nil : bytes("value \(number)")
            _ = try await topic.append([Record(key: key, value: value)])
            model[key] = value
        }
        let view = try await topic.cachedView(.init(capacityBytes: 1 << 20))
        #expect(view.offsets == topic.partitions.map(\.endOffset))
        #expect(view.statistics.knownKeys == model.count)
        for round in 0..<2 {
            for number in 0..<25 {
                let key = bytes("key \(number)")
                let found = try await view.value(for: key)
                #expect(found.value == model[key], "key \(number), round \(round)")
                #expect(found.partition == topic.partition(of: key))
                #expect(found.offset == topic[found.partition].endOffset)
            }
        }
        // What is there is not read again.
        #expect(view.statistics.memory.hits >= model.count)
        await view.close()
        try await database.close()
    }

    /// Whoever appends to the topic, by itself or through the view, reads what it appended.
    @Test func aWriterReadsItsWrites() async throws {
        let (database, topic, _) = try await open(partitions: 2)
        let view = try await topic.cachedView(.init(capacityBytes: 1 << 20))
        for number in 0..<40 {
            let key = bytes("key \(number % 3)")
            let value = number % 5 == 4 ? nil : bytes("value \(number)")
            let receipt =
                number % 2 == 0
                ? try await topic.append([Record(key: key, value: value)])
                : try await view.write(value, for: key)
            let found = try await view.value(for: key, atLeast: receipt)
            #expect(found.value == value)
            #expect(found.offset > receipt.lastOffset)
        }
        await expectDatabaseError(.offsetOutOfRange) {
            _ = try await view.value(
                for: bytes("key 1"), atLeast: RecordPosition(partition: 2, offset: 0))
        }
        await view.close()
        try await database.close()
    }

    @Test func whatIsWrittenThroughTheViewIsThereWithoutALoad() async throws {
        let (database, topic, _) = try await open()
        let view = try await topic.cachedView(.init(capacityBytes: 1 << 20))
        try await view.write([(bytes("a"), bytes("1")), (bytes("b"), bytes("2"))])
        #expect(try await view.value(for: bytes("a")).text == "1")
        #expect(try await view.value(for: bytes("b")).text == "2")
        #expect(view.statistics.sourceLoads == 0)
        // Others' records are not kept before somebody asks.
        let receipt = try await topic.append([Record("3", key: "a")])
        #expect(try await view.value(for: bytes("a"), atLeast: receipt).text == "3")
        #expect(view.statistics.sourceLoads == 1)
        await view.close()
        try await database.close()
    }

    /// Two that write one key at once: whichever record is later is the value, however their calls return.
    @Test(arguments: 1...10 as ClosedRange<UInt64>)
    func writersOfOneKeyLeaveTheLaterRecord(seed: UInt64) async throws {
        let (database, topic, _) = try await open(seed: seed)
        let view = try await topic.cachedView(.init(capacityBytes: 1 << 20))
        let key = bytes("key")
        let receipts = try await withThrowingTaskGroup(of: (String, Int64).self) { tasks in
            for number in 0..<12 {
                tasks.addTask {
                    let text = "value \(number)"
                    let receipt =
                        number % 3 == 0
                        ? try await topic.append([Record(text, key: "key")])
                        : try await view.write(bytes(text), for: key)
                    return (text, receipt.lastOffset)
                }
            }
            return try await tasks.reduce(into: []) { $0.append($1) }
        }
        let last = try #require(receipts.max { $0.1 < $1.1 })
        let found = try await view.value(
            for: key, atLeast: RecordPosition(partition: 0, offset: last.1))
        #expect(found.text == last.0)
        #expect(try await view.value(for: key).text == last.0)
        await view.close()
        try await database.close()
    }

    @Test func compactionTakesNothingAway() async throws {
        var log = LogConfiguration(segmentBytes: 8192, maxMessageBytes: 2048)
        log.cleanupPolicy = .compact
        let (database, topic, _) = try await open(log)
        let view = try await topic.cachedView(.init(capacityBytes: 2048))
        for round in 0..<6 {
            for number in 0..<30 {
                try await view.write(bytes("value \(number) of \(round)"), for: [UInt8(number)])
            }
            try await topic[0].compact(force: true)
            for number in 0..<30 {
                #expect(
                    try await view.value(for: [UInt8(number)]).text
                        == "value \(number) of \(round)")
            }
        }
        // Most of them were read from the log: memory has room for a few.
        #expect(view.statistics.sourceLoads > 60)
        await view.close()
        try await database.close()
    }

    // MARK: An origin

    @Test func recordsInvalidateWhatAnOriginGave() async throws {
        let (database, topic, _) = try await open(partitions: 2)
        let origin = Origin()
        let key = bytes("key")
        origin[key] = bytes("1")
        let view = try await topic.cachedView(
            .init(capacityBytes: 1 << 20), from: origin.source)
        for _ in 0..<3 { #expect(try await view.value(for: key).text == "1") }
        #expect(origin.loads == 1)
        origin[key] = bytes("2")
        #expect(try await view.value(for: key).text == "1")
        let receipt = try await topic.append([Record(key: key, value: nil)])
        #expect(try await view.value(for: key, atLeast: receipt).text == "2")
        #expect(origin.loads == 2)
        await expectDatabaseError(.viewIsReadOnly) { try await view.write([], for: key) }
        #expect(topic.partitions.map(\.endOffset).reduce(0, +) == 1)
        await view.close()
        try await database.close()
    }

    /// The stale-set race: a load reads the origin, the origin changes, its record is seen, and only then
    /// the load returns. What it read must not be kept.
    @Test func aFillThatRacedWithARecordIsRefused() async throws {
        let (database, topic, _) = try await open()
        let origin = Origin()
        let (reads, goesOn) = (Gate(), Gate())
        let key = bytes("key")
        origin[key] = bytes("old")
        let view = try await topic.cachedView(
            .init(capacityBytes: 1 << 20),
            from: .origin { key in
                let value = origin.load(key)
                if origin.loads == 1 {
                    reads.open()
                    await goesOn.pass()
                }
                return value
            })
        let early = Task { try await view.value(for: key) }
        await reads.pass()
        origin[key] = bytes("new")
        let receipt = try await topic.append([Record(key: key, value: nil)])
        // Begun after the record was seen: it has a load of its own.
        let late = try await view.value(for: key, atLeast: receipt)
        #expect(late.text == "new")
        goesOn.open()
        let first = try await early.value
        #expect(first.text == "old")
        #expect(first.offset <= receipt.lastOffset, "it claims what it does not know")
        #expect(try await view.value(for: key).text == "new")
        #expect(view.statistics.memory.refusedFills == 1)
        await view.close()
        try await database.close()
    }

    /// The same without anyone who asks in between: the key is not in the cache while its record comes.
    @Test func aFillThatRacedIsRefusedThoughNobodyAsked() async throws {
        let (database, topic, _) = try await open()
        let origin = Origin()
        let (reads, goesOn) = (Gate(), Gate())
        let key = bytes("key")
        origin[key] = bytes("old")
        let view = try await topic.cachedView(
            .init(capacityBytes: 1 << 20),
            from: .origin { key in
                let value = origin.load(key)
                if origin.loads == 1 {
                    reads.open()
                    await goesOn.pass()
                }
                return value
            })
        let early = Task { try await view.value(for: key) }
        await reads.pass()
        origin[key] = bytes("new")
        let receipt = try await topic.append([Record(key: key, value: nil)])
        _ = try await view.value(for: bytes("another key"), atLeast: receipt)
        goesOn.open()
        #expect(try await early.value.text == "old")
        let found = try await view.value(for: key)
        #expect(found.text == "new")
        await view.close()
        try await database.close()
    }

    // MARK: Bad input and bad times

    @Test func waitingEnds() async throws {
        let (database, topic, _) = try await open()
        var configuration = CachedViewConfiguration(capacityBytes: 1 << 20)
        configuration.readDeadline = .milliseconds(20)
        let view = try await topic.cachedView(configuration)
        let never = RecordPosition(partition: 0, offset: 1 << 40)
        await expectDatabaseError(.deadlineExceeded, "the view is at 0") {
            _ = try await view.value(for: [1], atLeast: never)
        }
        configuration.readDeadline = nil
        let patient = try await topic.cachedView(configuration)
        let cancelled = Task { try await patient.value(for: [1], atLeast: never) }
        let closed = Task { try await patient.value(for: [1], atLeast: never) }
        cancelled.cancel()
        await expectDatabaseError(.cancelled) { _ = try await cancelled.value }
        await view.close()
        try await database.close()
        await expectDatabaseError(.closed) { _ = try await closed.value }
        await patient.close()
    }

    @Test func configurationsThatCannotWorkAreRefused() async throws {
        let (database, topic, _) = try await open()
        for capacity in [0, -1, Int.min] {
            await expectDatabaseError(.invalidConfiguration, "invalid capacity") {
                _ = try await topic.cachedView(.init(capacityBytes: capacity))
            }
        }
        var configuration = CachedViewConfiguration(capacityBytes: 1 << 20)
        configuration.readDeadline = .zero
        await expectDatabaseError(.invalidConfiguration, "readDeadline") {
            [configuration] in _ = try await topic.cachedView(configuration)
        }
        configuration = CachedViewConfiguration(capacityBytes: 1 << 20)
        for bytes in [0, -1, 8 << 20 - 1] {
            configuration.disk = DiskTierConfiguration(name: "tier", maximumBytes: bytes - 1)
            await expectDatabaseError(.invalidConfiguration, "maximumBytes") {
                [configuration] in _ = try await topic.cachedView(configuration)
            }
        }
        configuration.disk = DiskTierConfiguration(name: "../tier", maximumBytes: 1 << 30)
        await expectDatabaseError(.invalidName) {
            [configuration] in _ = try await topic.cachedView(configuration)
        }
        configuration.disk = DiskTierConfiguration(name: "tier", maximumBytes: 1 << 30)
        configuration.cache.timeToLive = .seconds(1)
        await expectDatabaseError(.invalidConfiguration, "timeToLive") {
            [configuration] in _ = try await topic.cachedView(configuration)
        }
        var behind = WriteBehind(group: try await database.consumerGroup("origin")) { _ in }
        behind.maximumPendingRecords = 0
        await expectDatabaseError(.invalidConfiguration, "maximumPendingRecords") {
            [behind] in
            _ = try await topic.cachedView(
                .init(capacityBytes: 1), from: .origin({ _ in nil }, writingBehind: behind))
        }
        try await database.close()
    }

    @Test func aValueThatIsTooHeavyIsServedAndNotKept() async throws {
        let (database, topic, _) = try await open()
        let view = try await topic.cachedView(.init(capacityBytes: 1000))
        let heavy = [UInt8](repeating: 7, count: 2000)
        try await view.write(heavy, for: [1])
        for _ in 0..<2 { #expect(try await view.value(for: [1]).value == heavy) }
        #expect(view.statistics.memory.weight <= 1000)
        #expect(view.statistics.sourceLoads == 2)
        await view.close()
        try await database.close()
    }

    @Test func aLoaderThatDoesNotReturnFailsAtItsDeadline() async throws {
        let (database, topic, _) = try await open()
        var configuration = CachedViewConfiguration(capacityBytes: 1 << 20)
        configuration.cache.loadDeadline = .milliseconds(10)
        let forever = Gate()
        let view = try await topic.cachedView(
            configuration,
            from: .origin { _ in
                await forever.pass()
                return nil
            })
        do {
            _ = try await view.value(for: [1])
            Issue.record("expected an error")
        } catch let error as CacheError { #expect(error.code == .loadDeadlineExceeded) }
        forever.open()
        await view.close()
        try await database.close()
    }

    @Test func aTruncationTakesBackWhatItTook() async throws {
        let (database, topic, _) = try await open()
        let view = try await topic.cachedView(.init(capacityBytes: 1 << 20))
        try await view.write(bytes("kept"), for: [1])
        try await view.write(bytes("lost"), for: [1])
        try await view.write(bytes("lost"), for: [2])
        #expect(try await view.value(for: [1]).text == "lost")
        try await topic[0].log.truncate(to: 1)
        try await eventually("the view has seen the cut") { view.statistics.resets == 1 }
        try await eventually("and what is there") { view.offsets == [1] }
        #expect(try await view.value(for: [1]).text == "kept")
        #expect(try await view.value(for: [2]).value == nil)
        try await view.write(bytes("new"), for: [2])
        #expect(try await view.value(for: [2]).text == "new")
        await view.close()
        try await database.close()
    }

    /// Where records only say what has changed, a place that cannot be read costs what is in memory.
    @Test func aDamagedRecordInvalidatesEverythingOverAnOrigin() async throws {
        let (database, topic, origin) = try await damaged()
        let view = try await topic.cachedView(
            .init(capacityBytes: 1 << 20), from: origin.source)
        origin[[1]] = bytes("1")
        #expect(try await view.value(for: [1]).text == "1")
        #expect(try await view.value(for: [1]).text == "1")
        #expect(origin.loads == 1)
        // As if it had not come further when it was damaged.
        view.core.partitions[0].reset(to: 0)
        let receipt = try await topic.append([Record("", key: "other")])
        #expect(try await view.value(for: [1], atLeast: receipt).text == "1")
        #expect(origin.loads == 2)
        #expect(view.statistics.resets > 0)
        await view.close()
        try await database.close()
    }

    /// Where records are the values nothing can be said then, and it is not.
    @Test func ofADamagedLogNothingIsServed() async throws {
        let (database, topic, origin) = try await damaged()
        await expectDatabaseError(.log, "damaged") {
            _ = try await topic.cachedView(.init(capacityBytes: 1 << 20))
        }
        let behind = WriteBehind(group: try await database.consumerGroup("origin")) { record in
            origin[record.record.key!] = record.record.value
        }
        let view = try await topic.cachedView(
            .init(capacityBytes: 1 << 20),
            from: .origin({ origin.load($0) }, writingBehind: behind))
        try await eventually("it says so") { view.core.partitions[0].failure != nil }
        await expectDatabaseError(.log, "damaged") { _ = try await view.value(for: [1]) }
        await expectDatabaseError(.log, "damaged") { try await view.write([1], for: [1]) }
        // Whoever gives the place up gets on.
        try await eventually("the origin has the first") {
            view.statistics.pendingRecords == 0
        }
        _ = try await topic[0].deleteRecords(before: 3)
        try await eventually("it goes on") { view.core.partitions[0].failure == nil }
        let found = try await view.value(
            for: [1], atLeast: RecordPosition(partition: 0, offset: 3))
        #expect(found.value == [1])
        #expect(view.statistics.unwrittenOffsets == 2)
        await view.close()
        try await database.close()
    }

    /// A log of three records whose second does not hold.
    private func damaged() async throws -> (Database, Topic, Origin) {
        let (first, before, storage) = try await open()
        for number in 0..<3 { _ = try await before.append([Record("\(number)", key: "x")]) }
        try await first.close()
        let log = try #require(
            storage.files.first {
                $0.names.starts(with: ["topics", "values"]) && $0.names.last!.hasSuffix(".log")
            })
        try storage.flip(log, byte: 4096 + 80)
        let database = try await Database.open(on: storage)
        return (database, try await database.topic(named: "values"), Origin())
    }

    @Test func aViewThatIsReleasedStopsToFollow() async throws {
        let (database, topic, _) = try await open()
        let log = try #require(topic[0].log as? PartitionLog<SimulatedStorage>)
        var view: CachedView? = try await topic.cachedView(.init(capacityBytes: 1 << 20))
        try await eventually("it follows") { log.state.followerCount == 1 }
        #expect(view?.offsets == [0])
        view = nil
        try await eventually("it does not") { log.state.followerCount == 0 }
        try await database.close()
    }
}
