import CordwoodCausality
import CordwoodSimulation
import CordwoodStorage
import Synchronization
import TestSupport
import Testing

@testable import Cordwood

@Suite(.timeLimit(.minutes(10))) struct SharedTopicTests {
    private let ann = Array("ann".utf8)

    private func open(
        _ seed: UInt64, _ configuration: SharedTopicConfiguration = .init()
    ) async throws -> (storage: SimulatedStorage, database: Database, topic: SharedTopic) {
        let storage = SimulatedStorage(seed: seed)
        let database = try await Database.open(on: storage)
        return (storage, database, try await database.sharedTopic("cart", configuration))
    }

    @Test func aValueIsThereAfterReopening() async throws {
        var (storage, database, topic) = try await open(1)
        let actor = await topic.actor
        let dot = try await topic.put([1], forKey: ann)
        #expect(dot == Dot(actor: actor, counter: 1))
        try await topic.put([2], forKey: [7])
        try await topic.delete([7])
        #expect(await topic.get(ann).values == [[1]])
        #expect(await topic.get([7]).values == [])
        #expect(await topic.keys == [ann])
        let bytes = await topic.canonicalBytes()
        try await topic.compact()
        #expect(database.sharedTopicNames == ["cart"])
        #expect(database.topicNames == [])
        await expectDatabaseError(.invalidName) { _ = try await database.topic("__shared.cart") }
        try await database.close()
        await expectDatabaseError(.closed) { _ = try await topic.put([1], forKey: ann) }

        storage.crash(.dropUnsynced)
        database = try await Database.open(on: storage)
        topic = try await database.sharedTopic("cart")
        #expect(await topic.actor == actor)
        #expect(await topic.canonicalBytes() == bytes)
        #expect(await topic.seen[actor] == 3)
        #expect(try await topic.put([3], forKey: ann).counter == 4)
        await expectDatabaseError(.configurationMismatch, "lastWriter") {
            _ = try await database.sharedTopic("cart", .init(resolution: .siblings))
        }
        try await database.close()
    }

    @Test func aContextReplacesWhatWasReadAndNoMore() async throws {
        let (_, here, topic) = try await open(1, .init(resolution: .siblings))
        let (_, there, other) = try await open(2, .init(resolution: .siblings))
        try await topic.put([1], forKey: ann)
        let read = await topic.get(ann)
        try await other.put([2], forKey: ann)
        try await here.exchange(with: there)
        try await topic.put([3], forKey: ann, replacing: read.context)
        #expect(Set(await topic.get(ann).values) == [[2], [3]])
        try await topic.put([4], forKey: ann, replacing: VersionVector())
        #expect(Set(await topic.get(ann).values) == [[2], [3], [4]])
        try await topic.delete(ann, replacing: read.context)
        #expect(Set(await topic.get(ann).values) == [[2], [3], [4]])
        try await topic.put([5], forKey: ann)
        #expect(await topic.get(ann).values == [[5]])
        let report = try await here.exchange(with: there)
        #expect(report.keys == 1)
        #expect(await other.get(ann) == topic.get(ann))
        #expect(await other.canonicalBytes() == topic.canonicalBytes())
        // Nothing is missing, and nothing is sent.
        #expect(try await there.exchange(with: here).keys == 0)
        try await here.close()
        try await there.close()
    }

    @Test func aMergeIsWrittenOnceAndTravels() async throws {
        let calls = Mutex(0)
        let resolution = SharedTopicConfiguration.Resolution.merge { versions in
            calls.withLock { $0 += 1 }
            return versions.flatMap { $0.value ?? [] }.sorted()
        }
        let (_, here, topic) = try await open(1, .init(resolution: resolution))
        let (_, there, other) = try await open(2, .init(resolution: resolution))
        try await topic.put([1], forKey: ann)
        try await other.put([2], forKey: ann)
        try await here.exchange(with: there)
        #expect(await topic.get(ann).siblings.map(\.isMerge) == [true])
        #expect(await other.get(ann).values == [[1, 2]])
        #expect(calls.withLock { $0 } == 1)
        // Both at once: two merges stay, and read as one.
        try await topic.put([3], forKey: ann)
        try await other.put([4], forKey: ann)
        let requests = (await topic.exchangeRequest(), await other.exchangeRequest())
        let replies = (
            try await other.missing(for: requests.0), try await topic.missing(for: requests.1)
        )
        #expect(try await topic.apply(replies.0))
        #expect(try await other.apply(replies.1))
        try await here.exchange(with: there)
        #expect(await topic.get(ann).siblings.count == 2)
        #expect(await topic.get(ann).values == [[3, 4]])
        #expect(await other.canonicalBytes() == topic.canonicalBytes())
        try await here.close()
        try await there.close()
    }

    /// Written in the same millisecond: the actor decides, and so everywhere the same one.
    @Test func aTieIsDecidedByTheActor() async throws {
        let (_, here, topic) = try await open(1)
        let (_, there, other) = try await open(2)
        let dots = [try await topic.put([1], forKey: ann), try await other.put([2], forKey: ann)]
        try await here.exchange(with: there)
        let versions = await topic.get(ann).siblings
        #expect(Set(versions.map(\.timestamp)).count == 1)
        #expect(versions.last?.dot == dots.max())
        #expect(SharedVersion.precedes(versions[0], versions[1]))
        #expect(!SharedVersion.precedes(versions[1], versions[0]))
        #expect(await other.get(ann) == topic.get(ann))
        #expect(await topic.get(ann).values == [[dots.max() == dots[0] ? 1 : 2]])
        try await here.close()
        try await there.close()
    }

    @Test func writesThatComeTogetherShareSyncs() async throws {
        let (storage, database, topic) = try await open(1)
        let before = storage.counts
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for number in 0..<200 as Range<UInt8> {
                tasks.addTask { try await topic.put([number], forKey: [number % 50 + 1]) }
            }
            try await tasks.waitForAll()
        }
        #expect(await topic.keys.count == 50)
        #expect(await topic.seen[await topic.actor] == 200)
        #expect(storage.counts.syncs - before.syncs < 100)
        try await database.close()
    }

    // MARK: What is refused

    @Test func badWritesAreRefusedAndChangeNothing() async throws {
        let (_, database, topic) = try await open(1, .init(resolution: .siblings))
        try await topic.put([1], forKey: ann)
        let (bytes, seen) = (await topic.canonicalBytes(), await topic.seen)
        await expectDatabaseError(.invalidKey, "found 0") { try await topic.put([1], forKey: []) }
        await expectDatabaseError(.invalidKey, "found 32769") {
            try await topic.put([1], forKey: Array(repeating: 1, count: 32_769))
        }
        await expectDatabaseError(.valueTooLarge, "found 1048577") {
            try await topic.put(Array(repeating: 1, count: 1 << 20 + 1), forKey: ann)
        }
        var context = await topic.get(ann).context
        try context.increment(ActorID("elsewhere"))
        await expectDatabaseError(.unknownContext) {
            try await topic.put([2], forKey: ann, replacing: context)
        }
        #expect(await topic.canonicalBytes() == bytes)
        #expect(await topic.seen == seen)
        for _ in 0..<63 { try await topic.put([2], forKey: ann, replacing: VersionVector()) }
        await expectDatabaseError(.tooManySiblings, "64") {
            try await topic.put([2], forKey: ann, replacing: VersionVector())
        }
        #expect(await topic.get(ann).values.count == 64)
        try await database.close()
    }

    /// What could not be read again is not written: peers that each have their thousand actors.
    @Test func tooManyActorsAreRefused() async throws {
        let (storage, database, topic) = try await open(1)
        await expectDatabaseError(.invalidName) { _ = try await database.sharedTopic("") }
        func reply(_ actors: Range<UInt64>, _ item: Bool) async throws -> ExchangeReply {
            var vector = VersionVector()
            for number in actors { vector.raise(ActorID(random: 1, number), to: 1) }
            var register = SharedRegister()
            try register.write(
                SharedContent(timestamp: HybridTimestamp(rawValue: 1), value: [1]),
                at: Dot(actor: ActorID(random: 1, actors.lowerBound), counter: 2),
                replacing: vector)
            return ExchangeReply(
                topic: "cart", actor: ActorID(random: 1, actors.lowerBound),
                requester: await topic.actor, start: 0, position: .start, isEnd: true,
                seen: item ? VersionVector() : vector,
                items: item ? [SharedItem(key: ann, register: register)] : [])
        }
        for item in [true, false] {
            try await topic.apply(reply(0..<1000, item))
            let (bytes, seen) = (await topic.canonicalBytes(), await topic.seen)
            await expectDatabaseError(.tooManyActors, "1024") {
                try await topic.apply(reply(1000..<2000, item))
            }
            #expect(await topic.canonicalBytes() == bytes)
            #expect(await topic.seen == seen)
        }
        let bytes = await topic.canonicalBytes()
        try await database.close()
        let again = try await Database.open(on: storage)
        #expect(try await again.sharedTopic("cart").canonicalBytes() == bytes)
        try await again.close()
    }

    @Test func aCopyIsRefusedUntilItHasANameOfItsOwn() async throws {
        // The same seed: the same actor, as a copied folder has.
        let (_, here, topic) = try await open(1)
        let (_, copy, copied) = try await open(1)
        let (_, there, other) = try await open(2)
        try await topic.put([1], forKey: ann)
        await expectDatabaseError(.sameActor) { try await topic.exchange(with: copied) }
        try await here.exchange(with: there)
        // The copy has not made that event: it was restored from what was before.
        await expectDatabaseError(.actorReused, "restored") {
            try await copied.exchange(with: other)
        }
        // Nor may it have made another one of that number.
        try await copied.put([9], forKey: ann)
        try await other.put([5], forKey: ann, replacing: VersionVector())
        await expectDatabaseError(.actorReused, "another") {
            try await copied.exchange(with: other)
        }
        #expect(await copied.get(ann).values == [[9]])
        #expect(await other.get(ann).siblings.compactMap(\.value) == [[1], [5]])
        try await copy.close()

        let (_, second, renamed) = try await open(1)
        try await renamed.renewActor()
        try await renamed.put([2], forKey: ann)
        try await second.exchange(with: there)
        try await second.exchange(with: here)
        try await here.exchange(with: there)
        #expect(await topic.get(ann).siblings.count == 3)
        #expect(await topic.canonicalBytes() == other.canonicalBytes())
        #expect(await topic.canonicalBytes() == renamed.canonicalBytes())
        for database in [here, second, there] { try await database.close() }
    }

    @Test func aClockFarAheadIsRefused() async throws {
        let (storage, here, topic) = try await open(1)
        let (ahead, there, other) = try await open(2)
        ahead.simulatedClock.advance(milliseconds: 3_600_000)
        try await other.put([1], forKey: ann)
        try await topic.put([2], forKey: [7])
        let bytes = await topic.canonicalBytes()
        await expectDatabaseError(.clockAhead, "expected at most 60000 ms") {
            try await topic.exchange(with: other)
        }
        #expect(await topic.canonicalBytes() == bytes)
        // The other way round nothing is wrong.
        try await other.pull(from: topic)
        // Its own clock may not go back that far either.
        ahead.simulatedClock.advance(milliseconds: -3_600_000)
        await expectDatabaseError(.clockWentBack) { try await other.put([3], forKey: ann) }
        storage.simulatedClock.advance(milliseconds: 3_600_000)
        try await here.exchange(with: there)
        #expect(await topic.get(ann).values == [[1]])
        try await here.close()
        try await there.close()
    }

    @Test func aRecordOfAnotherFormIsNamed() async throws {
        let (storage, database, _) = try await open(1)
        let topic = try await database.registry.topic(InternalTopic.shared("cart"), creating: nil)
        _ = try await topic.append([Record("no state", key: "ann")])
        try await database.close()
        let again = try await Database.open(on: storage)
        await expectDatabaseError(.malformedState, "offset 1") {
            _ = try await again.sharedTopic("cart")
        }
        try await again.close()
    }

    // MARK: Exchanges

    @Test func anExchangeIsBoundedAndGoesOnWhereItWasCut() async throws {
        let (_, here, topic) = try await open(1)
        let (_, there, other) = try await open(2)
        for number in 1...40 as ClosedRange<UInt8> {
            try await topic.put(Array(repeating: number, count: 100), forKey: [number])
        }
        let actor = await topic.actor
        var batches = 0
        var keys = 0
        while true {
            let reply = try await topic.missing(
                for: other.exchangeRequest(from: actor, batchBytes: 1000))
            #expect((1...8).contains(reply.keyCount))
            (batches, keys) = (batches + 1, keys + reply.keyCount)
            let isDone = try await other.apply(reply)
            // Only the end says what was seen.
            #expect(isDone == (await other.seen[actor] == 40))
            // A repetition changes nothing.
            let bytes = await other.canonicalBytes()
            try await other.apply(reply)
            #expect(await other.canonicalBytes() == bytes)
            if isDone { break }
        }
        #expect(keys == 40)
        #expect(batches > 5)
        try await here.close()
        try await there.close()
    }

    /// The end of a log does not count where what was before it is missing.
    @Test func aBatchThatOvertakesAnotherIsNoProgress() async throws {
        let (_, here, topic) = try await open(1)
        let (_, there, other) = try await open(2)
        for number in 1...10 as ClosedRange<UInt8> {
            try await topic.put([number], forKey: [number])
        }
        let actor = await topic.actor
        let first = try await topic.missing(
            for: other.exchangeRequest(from: actor, batchBytes: 200))
        #expect(!first.isEnd)
        let request = ExchangeRequest(
            topic: "cart", actor: await other.actor, position: first.position,
            maximumBytes: 1 << 20, seen: await other.seen)
        let last = try await topic.missing(for: request)
        #expect(last.isEnd)
        #expect(try await !other.apply(last))
        #expect(await other.seen[actor] == 0)
        // Nor does what was meant for another.
        let (_, third, another) = try await open(3)
        await expectDatabaseError(.malformedMessage, "an answer to") {
            try await another.apply(first)
        }
        try await other.pull(from: topic)
        #expect(await other.seen[actor] == 10)
        #expect(await other.canonicalBytes() == topic.canonicalBytes())
        for database in [here, there, third] { try await database.close() }
    }

    @Test func aCancelledExchangeKeepsWhatItHas() async throws {
        let (_, here, topic) = try await open(1)
        let (_, there, other) = try await open(2)
        try await topic.put([1], forKey: ann)
        let cancelled = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            try await topic.exchange(with: other)
        }
        await expectDatabaseError(.cancelled) { _ = try await cancelled.value }
        try await here.exchange(with: there)
        #expect(await other.get(ann).values == [[1]])
        try await here.close()
        try await there.close()
    }

    /// What was appended and is not durable is not sent: a power cut gives its number to another event.
    @Test func whatIsNotDurableIsNotSent() async throws {
        let (storage, here, topic) = try await open(1)
        let (_, there, other) = try await open(2)
        storage.holdCompletions(of: [.sync])
        let put = Task { try await topic.put([1], forKey: ann) }
        await storage.waitForHeld()
        #expect(try await other.pull(from: topic).keys == 0)
        #expect(await topic.get(ann).values == [])
        storage.releaseCompletions()
        _ = try await put.value
        #expect(try await other.pull(from: topic).keys == 1)
        try await here.close()
        try await there.close()
    }

    @Test func anExchangeIsTraced() async throws {
        let trace = Mutex(CausalTrace())
        let configuration = SharedTopicConfiguration(resolution: .siblings) { event in
            try! trace.withLock {
                try $0.record("\(event.kind) \(event.key)", at: event.dot.actor, clock: event.seen)
            }
        }
        let (_, here, topic) = try await open(1, configuration)
        let (_, there, other) = try await open(2, configuration)
        try await topic.put([1], forKey: ann)
        try await here.exchange(with: there)
        try await other.put([2], forKey: ann)
        let (a, b) = (await topic.actor, await other.actor)
        #expect(
            trace.withLock { $0.text } == """
                \(a) {"\(a)":1}
                put \(ann)
                \(b) {\([a, b].sorted().map { "\"\($0)\":1" }.joined(separator: ", "))}
                put \(ann)

                """)
        try await here.close()
        try await there.close()
    }
}
