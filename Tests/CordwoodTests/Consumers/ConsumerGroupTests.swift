import CordwoodSimulation
import TestSupport
import Testing

@testable import Cordwood

@Suite struct ConsumerGroupTests {
    private let first = TopicPartition("orders", 0)
    private let second = TopicPartition("orders", 1)

    @Test func whatIsCommittedOutlivesTheDatabase() async throws {
        let storage = SimulatedStorage(seed: 1)
        var database = try await Database.open(on: storage)
        let topic = try await database.topic("orders", .init(partitions: 2))
        for partition in topic.partitions {
            _ = try await partition.append((0..<10).map { Record("\($0)") })
        }
        var group = try await database.consumerGroup("billing")
        #expect(await group.committed() == [:])
        #expect(await group.lag(of: topic) == [nil, nil])
        let offset = CommittedOffset(4, leaderEpoch: 2, metadata: "host a")
        try await group.commit([first: offset, second: CommittedOffset(9)])
        #expect(await group.lag(of: topic) == [6, 1])
        storage.crash(.dropUnsynced)
        database = try await Database.open(on: storage)
        group = try await database.consumerGroup("billing")
        var expected = offset
        expected.timestamp = SimulatedClock.defaultMilliseconds
        #expect(await group.committed(first) == expected)
        #expect(await group.committed(second)?.offset == 9)
        #expect(try await database.consumerGroupNames() == ["billing"])
        let other = try await database.consumerGroup("audit")
        #expect(await other.committed() == [:])
        try await group.reset(database.topic(named: "orders"), to: .earliest)
        #expect(await group.committed(first)?.offset == 0)
        try await group.reset(database.topic(named: "orders"), to: .latest)
        #expect(await group.committed(second)?.offset == 10)
        try await group.delete()
        #expect(await group.committed() == [:])
        #expect(try await database.consumerGroupNames() == [])
        try await database.close()
        database = try await Database.open(on: storage)
        #expect(try await database.consumerGroup("billing").committed() == [:])
        try await database.close()
    }

    @Test func whatCannotBeCommittedIsRefusedBeforeAnythingIsWritten() async throws {
        let database = try await Database.open(on: SimulatedStorage(seed: 1))
        _ = try await database.topic("orders", .init(partitions: 2))
        let group = try await database.consumerGroup("billing")
        await expectDatabaseError(.invalidOffset, "0 or more, found -1") {
            try await group.commit([first: CommittedOffset(-1), second: CommittedOffset(1)])
        }
        let long = String(repeating: "é", count: 2049)
        await expectDatabaseError(.invalidOffset, "4096 bytes of metadata, found 4098") {
            try await group.commit([first: CommittedOffset(1, metadata: long)])
        }
        await expectDatabaseError(.invalidOffset, "no partition 2") {
            try await group.commit([TopicPartition("orders", 2): CommittedOffset(1)])
        }
        await expectDatabaseError(.unknownTopic) {
            try await group.commit([TopicPartition("missing", 0): CommittedOffset(1)])
        }
        for name in ["", String(repeating: "x", count: 250)] {
            await expectDatabaseError(.invalidName) { _ = try await database.consumerGroup(name) }
        }
        #expect(await group.committed() == [:])
        try await database.close()
        await expectDatabaseError(.closed) { try await group.commit([first: CommittedOffset(1)]) }
    }

    @Test func aCommitIsOneBatch() async throws {
        let database = try await Database.open(on: SimulatedStorage(seed: 1))
        _ = try await database.topic("orders", .init(partitions: 300))
        let group = try await database.consumerGroup("billing")
        let metadata = String(repeating: "m", count: 4096)
        func offsets(_ count: Int) -> [TopicPartition: CommittedOffset] {
            Dictionary(
                uniqueKeysWithValues: (0..<count).map {
                    (TopicPartition("orders", $0), CommittedOffset(1, metadata: metadata))
                })
        }
        try await group.commit(offsets(200))
        await expectDatabaseError(.invalidOffset, "nothing was committed") {
            try await group.commit(offsets(300))
        }
        #expect(await group.committed().count == 200)
        let log = try await database.registry.topic(
            InternalTopic.consumerOffsets.rawValue, creating: nil)[0].log
        #expect(try await log.read(from: 0, maximumBytes: 1 << 24, isolation: .logEnd).count == 1)
        try await database.close()
    }

    @Test func whileAConsumerWorksOnlyItCommits() async throws {
        let database = try await Database.open(on: SimulatedStorage(seed: 1))
        let topic = try await database.topic("orders")
        let group = try await database.consumerGroup("billing")
        let consumer = try group.consumer(of: topic)
        // The same group through another handle.
        let other = try await database.consumerGroup("billing")
        await expectDatabaseError(.groupInUse, "orders[0]") {
            try await other.commit([first: CommittedOffset(1)])
        }
        await expectDatabaseError(.groupInUse) { try await other.reset(topic, to: .earliest) }
        await expectDatabaseError(.groupInUse) { try await other.delete() }
        try await consumer.close()
        try await other.commit([first: CommittedOffset(1)])
        try await database.close()
    }

    /// A power cut at every operation of a series of commits: what was acknowledged is there, and
    /// each commit is there as a whole or not at all.
    @Test func acknowledgedCommitsSurviveCrashes() async throws {
        var operation = 0
        var ranClean = false
        while !ranClean {
            operation += 1
            for ending in [Crash.bySeed, .dropUnsynced, .keepAll] {
                let context: Comment = "operation \(operation), \(ending)"
                let storage = SimulatedStorage(seed: UInt64(operation))
                var database = try await Database.open(on: storage)
                _ = try await database.topic("orders", .init(partitions: 2))
                var acknowledged: Int64 = 0
                var sent: Int64 = 0
                storage.inject(Fault(.inputOutput, at: operation, isPersistent: true))
                do {
                    let group = try await database.consumerGroup("billing")
                    for offset in Int64(1)...4 {
                        sent = offset
                        try await group.commit([
                            first: CommittedOffset(offset), second: CommittedOffset(offset),
                        ])
                        acknowledged = offset
                        #expect(await group.committed(first)?.offset == offset, context)
                    }
                    ranClean = true
                } catch { ranClean = false }
                storage.clearFaults()
                storage.crash(ending)
                database = try await Database.open(on: storage)
                let group = try await database.consumerGroup("billing")
                let found = await group.committed(first)?.offset ?? 0
                #expect((acknowledged...sent).contains(found), context)
                #expect(await group.committed(second)?.offset ?? 0 == found, context)
                try await database.close()
            }
        }
        #expect(operation > 10)
    }
}
