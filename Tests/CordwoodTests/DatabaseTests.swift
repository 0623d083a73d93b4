import Cordwood
import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@Suite struct DatabaseTests {
    @Test func topicsAndCollectionsComeBack() async throws {
        let folder = TemporaryDirectory()
        let path = folder.path
        let database = try await Database.open(at: path)
        let orders = try await database.topic("orders", .init(partitions: 4))
        let records = (0..<100).map { Record("value \($0)", key: "key \($0 % 10)") }
        let receipt = try await orders.append(records)
        #expect(receipt.positions.count == 100)
        let notes = try await database.collection(
            "notes", .init(dimensions: 3, metric: .cosine))
        _ = try await notes.upsert([
            Point(id: 7, vector: [1, 0, 0], payload: ["lang": "en", "year": 2024]),
            Point(id: 9, vector: [0, 1, 0]),
        ])
        _ = try await notes.delete([9])
        try await database.close()

        let again = try await Database.open(at: path, .init(mode: .openExisting))
        #expect(again.topicNames == ["orders"])
        #expect(again.collectionNames == ["notes"])
        let topic = try await again.topic(named: "orders")
        for (record, position) in zip(records, receipt.positions) {
            var found: StoredRecord?
            let sequence = topic[position.partition].records(
                from: position.offset, following: false)
            for try await stored in sequence {
                found = stored
                break
            }
            #expect(found?.value == record.value)
            #expect(found?.offset == position.offset)
        }
        let collection = try await again.collection(named: "notes")
        #expect(collection.count == 1)
        #expect(try await collection.get(7)?.payload == ["lang": "en", "year": 2024])
        #expect(try await collection.get(9) == nil)
        #expect(try await collection.search([1, 0.1, 0], limit: 5).map(\.id) == [7])
        #expect(try await topic.verify().isSound)
        try await again.close()
    }

    /// Whatever it was used for, a database that was closed and released keeps nothing.
    @Test func aClosedDatabaseIsLetGoOf() async throws {
        weak var kept: SimulatedStorage?
        func use() async throws {
            let storage = SimulatedStorage(seed: 1)
            kept = storage
            let database = try await Database.open(on: storage)
            let topic = try await database.topic("orders", .init(partitions: 2))
            _ = try await topic.append([Record("a"), Record("b", key: "k")])
            let producer = try await database.producer(transactionalID: "t")
            let group = try await database.consumerGroup("g")
            let consumer = try group.consumer(of: topic, .init(following: false))
            for try await _ in consumer {}
            try await producer.begin()
            try await producer.append([Record("c")], to: topic)
            try await producer.commitOffsets(of: consumer)
            try await producer.commit()
            let collection = try await database.collection(
                "points", .init(dimensions: 2, metric: .l2))
            _ = try await collection.upsert([Point(id: 1, vector: [1, 2])])
            _ = try await collection.search([1, 2])
            try await database.maintain()
            try await consumer.close()
            try await database.close()
        }
        try await use()
        // What looks after transactions holds on for a moment, once a second.
        try await eventually("all is let go of") { kept == nil }
    }
}
