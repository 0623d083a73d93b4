import CordwoodSimulation
import Testing

@testable import Cordwood

@Suite(.timeLimit(.minutes(5))) struct OffsetExpiryTests {
    private static let week: Int64 = 10_080 * 60_000
    private static let hour: Int64 = 60 * 60_000
    private let place = TopicPartition("orders", 0)

    private func open(
        _ storage: SimulatedStorage, _ options: DatabaseOptions = .init()
    ) async throws -> (Database, Topic, ConsumerGroup) {
        let database = try await Database.open(on: storage, options)
        let topic = try await database.topic("orders")
        return (database, topic, try await database.consumerGroup("billing"))
    }

    @Test func whatNobodyCommitsForAWeekGoes() async throws {
        let storage = SimulatedStorage(seed: 1)
        var (database, topic, group) = try await open(storage)
        let clock = storage.simulatedClock
        try await group.commit([place: CommittedOffset(0)])
        let other = try await database.consumerGroup("audit")
        clock.advance(milliseconds: 1)
        // Its own time is the caller's; when it came is what counts.
        try await other.commit([place: CommittedOffset(0, timestamp: 5)])
        clock.advance(milliseconds: Self.week - 2)
        try await database.maintain()
        #expect(try await database.consumerGroupNames() == ["audit", "billing"])
        clock.advance(milliseconds: 1)
        let status = try await database.maintain()
        #expect(status.failures == [])
        #expect(try await database.consumerGroupNames() == ["audit"])
        #expect(await group.committed() == [:])
        // Committed again, it is there again, and for a week.
        try await group.commit([place: CommittedOffset(0)])
        storage.crash(.dropUnsynced)
        (database, topic, group) = try await open(storage)
        #expect(try await database.consumerGroupNames() == ["audit", "billing"])
        try await group.delete()
        clock.advance(milliseconds: Self.week)
        try await database.maintain()
        #expect(try await database.consumerGroupNames() == [])
        storage.crash(.dropUnsynced)
        (database, topic, group) = try await open(storage)
        #expect(try await database.consumerGroupNames() == [])
        #expect(await group.lag(of: topic) == [nil])
        try await database.close()
    }

    @Test func afterAnOpeningAGroupHasAnHourToComeBack() async throws {
        let storage = SimulatedStorage(seed: 1)
        var (database, _, group) = try await open(storage)
        try await group.commit([place: CommittedOffset(0)])
        try await database.close()
        storage.simulatedClock.advance(milliseconds: 2 * Self.week)
        (database, _, group) = try await open(storage)
        storage.simulatedClock.advance(milliseconds: Self.hour - 1)
        try await database.maintain()
        #expect(await group.committed().count == 1)
        storage.simulatedClock.advance(milliseconds: 1)
        try await database.maintain()
        #expect(await group.committed() == [:])
        try await database.close()
    }

    @Test func consumersKeepTheirGroupsOffsets() async throws {
        let storage = SimulatedStorage(seed: 1)
        let (database, topic, group) = try await open(storage)
        let clock = storage.simulatedClock
        try await group.commit([place: CommittedOffset(0)])
        var consumer: Consumer? = try group.consumer(of: topic)
        clock.advance(milliseconds: 3 * Self.week)
        try await database.maintain()
        #expect(await group.committed().count == 1)
        clock.advance(milliseconds: Self.week)
        // Left without a word, between two rounds: the week begins now.
        #expect(consumer?.assignment == [place])
        consumer = nil
        try await database.maintain()
        clock.advance(milliseconds: Self.week - 1)
        try await database.maintain()
        #expect(await group.committed().count == 1)
        clock.advance(milliseconds: 1)
        try await database.maintain()
        #expect(await group.committed() == [:])
        try await database.close()
    }

    @Test func timesOfTheFutureKeepNothing() async throws {
        let storage = SimulatedStorage(seed: 1)
        var (database, _, group) = try await open(storage)
        let clock = storage.simulatedClock
        for (number, timestamp) in [Int64.max, .min, 0, nil].enumerated() {
            let group = try await database.consumerGroup("\(number)")
            try await group.commit([place: CommittedOffset(0, timestamp: timestamp)])
        }
        // The clock goes back: the week begins when that is seen.
        clock.advance(milliseconds: -10 * Self.week)
        try await database.maintain()
        clock.advance(milliseconds: Self.week - 1)
        try await database.maintain()
        #expect(try await database.consumerGroupNames().count == 4)
        clock.advance(milliseconds: 1)
        try await database.maintain()
        #expect(try await database.consumerGroupNames() == [])
        // The same where the times are read back.
        try await group.commit([place: CommittedOffset(0, timestamp: .max)])
        try await database.close()
        (database, _, group) = try await open(storage)
        clock.advance(milliseconds: Self.week - 1)
        try await database.maintain()
        #expect(await group.committed().count == 1)
        clock.advance(milliseconds: 1)
        try await database.maintain()
        #expect(await group.committed() == [:])
        for time in [Int64.min, .max, .min] {
            clock.set(milliseconds: time)
            try await database.maintain()
        }
        try await database.close()
    }

    @Test func withoutALimitNothingGoes() async throws {
        let storage = SimulatedStorage(seed: 1)
        let (database, _, group) = try await open(storage, .init(offsetsRetentionMinutes: nil))
        try await group.commit([place: CommittedOffset(0)])
        storage.simulatedClock.advance(milliseconds: 1000 * Self.week)
        try await database.maintain()
        #expect(await group.committed().count == 1)
        try await database.close()
        for minutes in [0, -1, Int.max] {
            await expectDatabaseError(.invalidConfiguration, "offsetsRetentionMinutes") {
                _ = try await open(storage, .init(offsetsRetentionMinutes: minutes))
            }
        }
    }

    /// Nothing is written for a database that has no groups.
    @Test func aDatabaseWithoutGroupsGetsNoTopic() async throws {
        let database = try await Database.open(on: SimulatedStorage(seed: 1))
        try await database.maintain()
        #expect(database.registry.topicNames == [])
        try await database.close()
    }

    /// A commit that comes while its group's offsets go is behind the deletion in the log, whichever
    /// of the two reaches the log first.
    @Test func aCommitIsNeverTakenAlong() async throws {
        let storage = SimulatedStorage(seed: 1)
        var (database, _, group) = try await open(storage)
        try await group.commit([place: CommittedOffset(0)])
        let coordinator = try await database.services.groupCoordinator()
        let expired = storage.simulatedClock.millisecondsNow() + Self.week
        storage.holdCompletions(of: [.write, .sync])
        let expiry = Task { try await coordinator.expire(now: expired, after: Self.week) }
        try await eventually("the deletion is on its way") { storage.heldCount > 0 }
        let commit = Task { [group, place] in
            try await group.commit([place: CommittedOffset(1)])
        }
        try await eventually("the commit waits") { await coordinator.waitingCommits == 1 }
        storage.releaseCompletions()
        try await expiry.value
        try await commit.value
        #expect(await group.committed(place)?.offset == 1)
        // The other way round nothing goes.
        storage.holdCompletions(of: [.write, .sync])
        let second = Task { [group, place] in
            try await group.commit([place: CommittedOffset(2)])
        }
        try await eventually("the commit is on its way") { storage.heldCount > 0 }
        try await coordinator.expire(now: expired + Self.week, after: Self.week)
        storage.releaseCompletions()
        try await second.value
        #expect(await group.committed(place)?.offset == 2)
        storage.crash(.dropUnsynced)
        (database, _, group) = try await open(storage)
        #expect(await group.committed(place)?.offset == 2)
        try await database.close()
    }

    @Test func offsetsThatAnOpenTransactionHoldsStay() async throws {
        let storage = SimulatedStorage(seed: 1)
        let (database, _, group) = try await open(storage)
        let coordinator = try await database.services.groupCoordinator()
        try await group.commit([place: CommittedOffset(0)])
        let producer = try await database.producer(transactionalID: "mill")
        try await producer.begin()
        try await producer.commitOffsets([place: CommittedOffset(3)], group: group)
        let expired = storage.simulatedClock.millisecondsNow() + Self.week
        try await coordinator.expire(now: expired, after: Self.week)
        #expect(await group.committed(place)?.offset == 0)
        try await producer.commit()
        #expect(await group.committed(place)?.offset == 3)
        try await database.close()
    }

    /// More than one batch takes at a time; and a failure is told and made up for.
    @Test func aLargeGroupGoesInParts() async throws {
        let storage = SimulatedStorage(seed: 1)
        let (database, _, group) = try await open(storage)
        let wide = try await database.topic("wide", .init(partitions: 600))
        var offsets: [TopicPartition: CommittedOffset] = [:]
        for partition in wide.partitions {
            offsets[TopicPartition("wide", partition.number)] = CommittedOffset(0)
        }
        try await group.commit(offsets)
        storage.simulatedClock.advance(milliseconds: Self.week)
        let status = try await database.maintain()
        #expect(status.failures == [])
        #expect(await group.committed() == [:])
        let log = try await database.registry.topic(
            InternalTopic.consumerOffsets.rawValue, creating: nil)[0].log
        #expect(log.endOffset == 1200)
        try await group.commit(offsets)
        storage.simulatedClock.advance(milliseconds: Self.week)
        storage.inject(Fault(.inputOutput, at: 1, isPersistent: true))
        let failed = try await database.maintain()
        #expect(failed.failures.contains { $0.hasPrefix("expiry of offsets") })
        try? await database.close()
    }
}
