import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import Cordwood

/// Ends that do not come through at once.
@Suite(.timeLimit(.minutes(20))) struct TransactionEndingTests {
    /// A commit waits for one sync of its partitions and one of their markers, not for each in turn.
    @Test func partitionsAreFlushedAndToldSideBySide() async throws {
        let storage = SimulatedStorage(seed: 1)
        let database = try await Database.open(on: storage)
        let topics = [try await database.topic("debits"), try await database.topic("credits")]
        let producer = try await database.producer(transactionalID: "t")
        try await producer.begin()
        for topic in topics { try await producer.append([Record("x")], to: topic) }
        storage.holdCompletions()
        async let commit: Void = producer.commit()
        try await eventually("both are flushed") { storage.heldCount == 2 }
        storage.completeHeld()
        // The decision.
        await storage.waitForHeld()
        #expect(storage.heldCount == 1)
        storage.completeHeld()
        try await eventually("both are told") { storage.heldCount == 2 }
        storage.releaseCompletions()
        try await commit
        for topic in topics { #expect(try await texts(topic[0]) == ["x"]) }
        try await database.close()
    }

    /// Lets a commit get as far as the markers, of which `count` are held then.
    private func hold(
        _ producer: TransactionalProducer, atMarkers count: Int, _ storage: SimulatedStorage
    ) async throws -> Task<DatabaseError?, Never> {
        storage.holdCompletions()
        let commit = Task { () -> DatabaseError? in
            do { try await producer.commit() } catch { return error as? DatabaseError }
            return nil
        }
        try await eventually("all are flushed") { storage.heldCount == count }
        storage.completeHeld()
        // The decision.
        await storage.waitForHeld()
        storage.completeHeld()
        try await eventually("all are told") { storage.heldCount == count }
        return commit
    }

    /// A partition cannot be told how a transaction ended: it is told later, by nobody's doing, and
    /// the group's offsets count once.
    @Test func aMarkerThatFailedIsWrittenInTheBackground() async throws {
        let storage = SimulatedStorage(seed: 1)
        let database = try await Database.open(on: storage)
        let topics = [try await database.topic("debits"), try await database.topic("credits")]
        let group = try await database.consumerGroup("g")
        let producer = try await database.producer(transactionalID: "t")
        let place = TopicPartition("debits", 0)
        try await producer.begin()
        for topic in topics { try await producer.append([Record("x")], to: topic) }
        try await producer.commitOffsets([place: CommittedOffset(1)], group: group)
        let commit = try await hold(producer, atMarkers: 3, storage)
        #expect(await database.transactionFailures.isEmpty)
        storage.inject(Fault(.noSpace, at: 1, of: .write))
        storage.releaseCompletions()
        let error = await commit.value
        #expect(error?.code == .log)
        let told = topics.filter { $0[0].lastStableOffset == $0[0].endOffset }.count
        let failures = await database.transactionFailures
        // Unless the background was faster.
        if let failure = failures.first {
            #expect(failures.count == 1 && failure.transactionalID == "t")
            #expect("\(error!)".contains("\(failure.place)"), "\(error!)")
            #expect(failure.error.code == .log && told >= 1)
        }
        try await eventually("it is ended") {
            await (try database.services.transactionCoordinator()).lookAfter()
            return await database.transactionFailures.isEmpty
        }
        for topic in topics { #expect(try await texts(topic[0]) == ["x"]) }
        #expect(await group.committed(place)?.offset == 1)
        // Only what failed was written again.
        let ends = topics.map { $0[0].endOffset }
        try await producer.commit()
        #expect(topics.map { $0[0].endOffset } == ends && ends == [2, 2])
        try await group.delete()
        #expect(await group.committed(place) == nil)
        try await producer.transaction { _ = try await $0.append([Record("y")], to: topics[0]) }
        #expect(await group.committed(place) == nil)
        try await database.close()
    }

    /// One topic cannot be opened after a crash. Its transaction waits for it, decided; all else
    /// goes on, and when the topic is back it is told.
    @Test func aTopicThatCannotBeOpenedHoldsUpItsTransactionAlone() async throws {
        let storage = SimulatedStorage(seed: 1)
        var database = try await Database.open(on: storage)
        var topics = [try await database.topic("debits"), try await database.topic("credits")]
        let place = TopicPartition("debits", 0)
        let group = try await database.consumerGroup("g")
        let producer = try await database.producer(transactionalID: "t")
        let other = try await database.producer(transactionalID: "other")
        try await other.begin()
        try await other.append([Record("open")], to: topics[0])
        try await producer.begin()
        for topic in topics { try await producer.append([Record("x")], to: topic) }
        try await producer.commitOffsets([place: CommittedOffset(1)], group: group)
        let commit = try await hold(producer, atMarkers: 3, storage)
        storage.crash(.dropUnsynced)
        storage.releaseCompletions()
        #expect(await commit.value != nil)
        let manifest = try StoragePath.root.appending("topics").appending("credits")
            .appending("0").appending("manifest")
        try storage.flip(manifest, byte: 0)

        database = try await Database.open(on: storage)
        let failures = await database.transactionFailures
        #expect(failures.map(\.transactionalID) == ["t"])
        #expect(failures.map(\.place) == [TopicPartition("credits", 0)])
        await expectDatabaseError(.newerFormat, "commit is decided") {
            _ = try await database.producer(transactionalID: "t")
        }
        let debits = try await database.topic("debits")
        #expect(try await texts(debits[0]) == ["x"])
        #expect(try await database.consumerGroup("g").committed(place)?.offset == 1)
        let next = try await database.producer(transactionalID: "other")
        try await next.transaction { _ = try await $0.append([Record("y")], to: debits) }
        #expect(try await texts(debits[0]) == ["x", "y"])

        try storage.flip(manifest, byte: 0)
        try await eventually("it is ended") {
            await (try database.services.transactionCoordinator()).lookAfter()
            return await database.transactionFailures.isEmpty
        }
        topics = [debits, try await database.topic("credits")]
        #expect(try await texts(topics[1][0]) == ["x"])
        #expect(try await database.consumerGroup("g").committed(place)?.offset == 1)
        _ = try await database.producer(transactionalID: "t")
        try await database.close()
    }

    /// Which of the groups' offsets count cannot be told before their topic has the markers.
    @Test func groupsWaitForTheEndsInTheirOwnTopicOnly() async throws {
        let storage = SimulatedStorage(seed: 1)
        var database = try await Database.open(on: storage)
        let topic = try await database.topic("debits")
        let place = TopicPartition("debits", 0)
        let group = try await database.consumerGroup("g")
        let producer = try await database.producer(transactionalID: "t")
        try await producer.begin()
        try await producer.append([Record("x")], to: topic)
        try await producer.commitOffsets([place: CommittedOffset(1)], group: group)
        let commit = try await hold(producer, atMarkers: 2, storage)
        storage.crash(.dropUnsynced)
        storage.releaseCompletions()
        #expect(await commit.value != nil)
        let manifest = try StoragePath.root.appending("topics")
            .appending(InternalTopic.consumerOffsets.rawValue).appending("0").appending("manifest")
        try storage.flip(manifest, byte: 0)
        database = try await Database.open(on: storage)
        #expect(await database.transactionFailures.map(\.place.partition) == [0])
        await expectDatabaseError(.newerFormat) { _ = try await database.consumerGroup("g") }
        try storage.flip(manifest, byte: 0)
        #expect(try await database.consumerGroup("g").committed(place)?.offset == 1)
        #expect(await database.transactionFailures.isEmpty)
        try await database.close()
    }

    /// What is done in the background opens no topic of a database that was closed.
    @Test func aClosedDatabaseOpensNothing() async throws {
        let storage = SimulatedStorage(seed: 1)
        var database = try await Database.open(on: storage)
        _ = try await database.topic("orders")
        try await database.close()
        database = try await Database.open(on: storage)
        let registry = database.registry
        try await database.close()
        await expectDatabaseError(.closed, "orders") {
            _ = try await registry.topic("orders", creating: nil)
        }
    }
}
