import CordwoodSimulation
import Testing

@testable import Cordwood
@testable import CordwoodLog

/// A log that was cut, by retention, a truncation or another leader, behind a consumer's back.
@Suite(.timeLimit(.minutes(10))) struct ConsumerLogChangeTests {
    private func topicOfTen() async throws -> (Database, Topic, ConsumerGroup) {
        let database = try await Database.open(on: SimulatedStorage(seed: 1))
        let topic = try await database.topic("orders")
        for number in 0..<10 { _ = try await topic.append([Record("\(number)")]) }
        return (database, topic, try await database.consumerGroup("billing"))
    }

    @Test func aConsumerThatRetentionPassedByBeginsWhereTheLogDoes() async throws {
        let (database, topic, group) = try await topicOfTen()
        let consumer = try group.consumer(of: topic, .init(following: false))
        var iterator = consumer.makeAsyncIterator()
        for _ in 0..<3 { _ = try await iterator.next() }
        try await topic[0].log.deleteRecords(before: 5)
        var fresh = consumer.makeAsyncIterator()
        #expect(try await fresh.next()?.text == "5")
        try await database.close()
    }

    @Test func aConsumerGoesBackToWhereItsLogWasTruncated() async throws {
        let (database, topic, group) = try await topicOfTen()
        let place = TopicPartition("orders", 0)
        let consumer = try group.consumer(of: topic, .init(following: false))
        var iterator = consumer.makeAsyncIterator()
        for _ in 0..<9 { _ = try await iterator.next() }
        try await consumer.commit()
        #expect(await group.committed(place)?.offset == 9)
        #expect(await group.lag(of: topic) == [1])
        try await topic[0].log.startEpoch(3)
        #expect(try await topic[0].log.truncate(to: 7) == 7)
        _ = try await topic.append((0..<4).map { Record("new \($0)") })
        var again = consumer.makeAsyncIterator()
        #expect(try await again.next()?.text == "new 0")
        try await consumer.commit()
        #expect(await group.committed(place)?.offset == 8)
        try await database.close()
    }

    /// Another leader has put other records in the place of some that the group has done, and the
    /// log is longer than ever: only the epochs tell.
    @Test func aGroupGoesBackToWhereItsHistoryEnds() async throws {
        for way in 0..<4 {
            let context: Comment = "way \(way)"
            let storage = SimulatedStorage(seed: 1)
            var database = try await Database.open(on: storage)
            var topic = try await database.topic("orders")
            let place = TopicPartition("orders", 0)
            try await topic[0].log.startEpoch(2)
            for number in 0..<10 { _ = try await topic.append([Record("\(number)")]) }
            var group = try await database.consumerGroup("billing")
            let consumer = try group.consumer(
                of: topic,
                .init(autoCommitIntervalMilliseconds: way == 2 ? 0 : nil, following: false))
            var iterator = consumer.makeAsyncIterator()
            var last: ConsumerRecord?
            for _ in 0..<9 { last = try await iterator.next() }
            #expect(last?.leaderEpoch == 2)
            switch way {
            case 0: try await consumer.commit()
            case 1: try await consumer.commit(last!)
            case 2: try await consumer.close()
            default:
                let producer = try await database.producer(transactionalID: "mill")
                try await producer.transaction { try await $0.commitOffsets(of: consumer) }
            }
            #expect(await group.committed(place)?.offset == 9, context)
            #expect(await group.committed(place)?.leaderEpoch == 2, context)
            try await consumer.close()
            try await topic[0].log.truncate(to: 7)
            try await topic[0].log.startEpoch(3)
            for number in 0..<6 { _ = try await topic.append([Record("new \(number)")]) }
            #expect(await group.lag(of: topic) == [6], context)
            if way % 2 == 0 {
                try await database.close()
                database = try await Database.open(on: storage)
                topic = try await database.topic(named: "orders")
                group = try await database.consumerGroup("billing")
            }
            let again = try group.consumer(of: topic, .init(following: false))
            var found: [String] = []
            for try await record in again { found.append(record.text!) }
            #expect(found == (0..<6).map { "new \($0)" }, context)
            try await again.commit()
            #expect(await group.committed(place)?.leaderEpoch == 3, context)
            try await database.close()
        }
    }

    /// A commit says in which epoch its records were read, not what lies in their place by then.
    @Test func aCommitAfterALeaderChangeIsOfWhatWasHandedOut() async throws {
        let (database, topic, group) = try await topicOfTen()
        let place = TopicPartition("orders", 0)
        let consumer = try group.consumer(of: topic, .init(following: false))
        var iterator = consumer.makeAsyncIterator()
        var last: ConsumerRecord?
        for _ in 0..<9 { last = try await iterator.next() }
        try await topic[0].log.truncate(to: 7)
        try await topic[0].log.startEpoch(1)
        for number in 0..<6 { _ = try await topic.append([Record("new \(number)")]) }
        // One record: it is of epoch 0, whatever is at its offset now.
        try await consumer.commit(last!)
        #expect(await group.committed(place)?.offset == 9)
        #expect(await group.committed(place)?.leaderEpoch == 0)
        // All that was handed out: what was taken back is not among it.
        try await consumer.commit()
        #expect(await group.committed(place)?.offset == 7)
        #expect(await group.committed(place)?.leaderEpoch == 0)
        #expect(try await iterator.next()?.text == "new 0")
        try await database.close()
    }

    /// An epoch that the log has never heard of: nothing says how much of it was read.
    @Test func anOffsetOfAnUnknownEpochIsNoBetterThanNone() async throws {
        let (database, topic, group) = try await topicOfTen()
        let place = TopicPartition("orders", 0)
        try await group.commit([place: CommittedOffset(4, leaderEpoch: 9)])
        #expect(await group.lag(of: topic) == [6])
        let none = try group.consumer(of: topic, .init(autoOffsetReset: .none, following: false))
        await expectDatabaseError(.offsetOutOfRange) {
            for try await _ in none {}
        }
        try await none.close()
        let consumer = try group.consumer(of: topic, .init(following: false))
        var iterator = consumer.makeAsyncIterator()
        #expect(try await iterator.next()?.text == "0")
        try await consumer.commit()
        #expect(await group.committed(place)?.offset == 1)
        try await consumer.close()
        try await group.reset(topic, to: .latest)
        #expect(await group.committed(place)?.leaderEpoch == 0)
        try await database.close()
    }

    @Test func beyondTheHighWatermarkNothingIsHandedOut() async throws {
        let database = try await Database.open(on: SimulatedStorage(seed: 1))
        let topic = try await database.topic("orders")
        for number in 0..<4 { _ = try await topic.append([Record("\(number)")]) }
        topic[0].log.setHighWatermark(2)
        let group = try await database.consumerGroup("billing")
        let consumer = try group.consumer(of: topic, .init(following: false))
        var found: [String] = []
        for try await record in consumer { found.append(record.text!) }
        #expect(found == ["0", "1"])
        try await consumer.commit()
        #expect(await group.lag(of: topic) == [0])
        #expect(await group.lag(of: topic, isolation: .logEnd) == [2])
        topic[0].log.setHighWatermark(nil)
        for try await record in consumer { found.append(record.text!) }
        #expect(found == ["0", "1", "2", "3"])
        try await database.close()
    }
}
