import CordwoodSimulation
import Testing

@testable import Cordwood

@Suite struct GroupSessionsTests {
    @Test func aSessionGoesWithTheLastWhoHoldsIt() async throws {
        let database = try await Database.open(on: SimulatedStorage(seed: 1))
        let topic = try await database.topic("orders")
        let sessions = try await database.services.groupCoordinator().sessions
        for number in 0..<100 {
            let group = try await database.consumerGroup("\(number)")
            try await group.commit([TopicPartition("orders", 0): CommittedOffset(0)])
            let consumer = try group.consumer(of: topic)
            try await consumer.close()
        }
        #expect(sessions.count == 0)
        var group: ConsumerGroup? = try await database.consumerGroup("billing")
        #expect(try await database.consumerGroup("billing").session === group?.session)
        #expect(sessions.count == 1)
        // A consumer alone holds it, and so does a transaction.
        let consumer = try #require(try group?.consumer(of: topic))
        group = nil
        await expectDatabaseError(.groupInUse) {
            try await database.consumerGroup("billing").delete()
        }
        try await consumer.close()
        group = try await database.consumerGroup("audit")
        let producer = try await database.producer(transactionalID: "mill")
        try await producer.begin()
        try await producer.commitOffsets(
            [TopicPartition("orders", 0): CommittedOffset(0)], group: group!)
        group = nil
        withExtendedLifetime(consumer) { #expect(sessions.count == 2) }
        try await producer.commit()
        #expect(sessions.count <= 1)
        try await database.close()
    }

    @Test func whoSettlesWaitsForEveryCommitBefore() async throws {
        let session = GroupSessions(clock: SimulatedClock()).session("billing")
        let commits = (0..<4).map { _ in session.begin([TopicPartition]()).commit! }
        let settled = Task { await session.settle() }
        try await eventually("it waits") { session.settlingCount == 1 }
        let later = session.begin([TopicPartition]()).commit!
        for index in [2, 0, 3] {
            session.end(commits[index])
            #expect(session.settlingCount == 1)
        }
        session.end(commits[1])
        await settled.value
        let again = Task { await session.settle() }
        try await eventually("it waits") { session.settlingCount == 1 }
        session.end(later)
        await again.value
        await session.settle()
    }
}
