import Cordwood
import CordwoodSimulation
import Synchronization
import Testing

@Suite struct TopicTests {
    @Test func keysFindTheirPartitionAndKeepTheirOrder() async throws {
        let database = try await Database.open(on: SimulatedStorage(seed: 1))
        let topic = try await database.topic("orders", .init(partitions: 5))
        var expected: [String: [String]] = [:]
        for round in 0..<20 {
            let records = (0..<10).map { Record("\(round) \($0)", key: "key \($0 % 7)") }
            let receipt = try await topic.append(records)
            for record in records {
                expected[String(decoding: record.key!, as: UTF8.self), default: []]
                    .append(String(decoding: record.value!, as: UTF8.self))
            }
            #expect(receipt.positions.count == records.count)
        }
        var found: [String: [String]] = [:]
        var homes: [String: Set<Int>] = [:]
        for partition in topic.partitions {
            for try await record in partition.records(from: 0, following: false) {
                let key = String(decoding: record.key!, as: UTF8.self)
                found[key, default: []].append(record.text!)
                homes[key, default: []].insert(partition.number)
            }
        }
        #expect(found == expected)
        #expect(homes.values.allSatisfy { $0.count == 1 })
        try await database.close()
    }

    @Test func nothingIsAppendedWhenOneRecordIsTooLarge() async throws {
        let database = try await Database.open(on: SimulatedStorage(seed: 1))
        let topic = try await database.topic(
            "orders", .init(partitions: 4, log: .init(maxMessageBytes: 1_000)))
        var records = (0..<20).map { Record("value", key: "key \($0)") }
        records.append(Record(key: [1], value: [UInt8](repeating: 0, count: 2_000)))
        do {
            _ = try await topic.append(records)
            Issue.record("expected an error")
        } catch {
            #expect(error.code == .recordTooLarge)
            #expect("\(error)".contains("maxMessageBytes = 1000"), "\(error)")
        }
        #expect(topic.partitions.allSatisfy { $0.endOffset == 0 })
        await #expect(throws: LogError.self) { _ = try await topic.append([]) }
        try await database.close()
    }

    @Test func followersSeeWhatIsAppendedAndEndWithTheDatabase() async throws {
        let database = try await Database.open(on: SimulatedStorage(seed: 1))
        let topic = try await database.topic("orders")
        let seen = Mutex<[String]>([])
        let follower = Task {
            for try await record in topic[0].records(from: 0) {
                seen.withLock { $0.append(record.text!) }
            }
        }
        for number in 0..<50 { _ = try await topic.append([Record("\(number)")]) }
        try await eventually("the follower reads all") {
            seen.withLock { $0 } == (0..<50).map(String.init)
        }
        #expect(topic.statistics.appendedRecords == 50)
        try await database.close()
        try await follower.value
    }
}
