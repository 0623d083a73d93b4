import CordwoodSimulation
import Testing

@testable import Cordwood

@Suite struct InternalTopicTests {
    @Test func internalTopicsAreHiddenAndTheirNamesRefused() async throws {
        let storage = SimulatedStorage(seed: 1)
        let database = try await Database.open(on: storage)
        #expect(!storage.files.contains { "\($0)".contains("__") })
        let group = try await database.consumerGroup("billing")
        _ = try await database.topic("orders")
        try await group.commit([TopicPartition("orders", 0): CommittedOffset(0)])
        #expect(storage.files.contains { "\($0)".hasPrefix("topics/__consumer_offsets/0/") })
        #expect(database.topicNames == ["orders"])
        for name in ["__consumer_offsets", "__transaction_state", "__mine"] {
            await expectDatabaseError(.invalidName, "\"__\" are the database's own") {
                _ = try await database.topic(name)
            }
            await expectDatabaseError(.invalidName) { _ = try await database.topic(named: name) }
        }
        await expectDatabaseError(.invalidName) {
            try await group.commit([TopicPartition("__consumer_offsets", 0): CommittedOffset(0)])
        }
        try await database.close()
    }
}
