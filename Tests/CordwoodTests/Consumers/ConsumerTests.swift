import CordwoodSimulation
import Synchronization
import TestSupport
import Testing

@testable import Cordwood
@testable import CordwoodLog

/// A value that several tasks share.
private final class Shared<Value: Sendable>: Sendable {
    let value: Mutex<Value>

    init(_ value: Value) { self.value = Mutex(value) }
}

@Suite(.timeLimit(.minutes(10))) struct ConsumerTests {
    private let all = ConsumerConfiguration(following: false)

    private func database(_ seed: UInt64 = 1) async throws -> Database {
        try await Database.open(on: SimulatedStorage(seed: seed))
    }

    private func texts(_ consumer: Consumer, _ count: Int = .max) async throws -> [String] {
        var found: [String] = []
        if count == 0 { return [] }
        for try await record in consumer {
            found.append(record.text!)
            if found.count == count { break }
        }
        return found
    }

    @Test func aConsumerGoesOnWhereItsGroupCommitted() async throws {
        let storage = SimulatedStorage(seed: 1)
        var database = try await Database.open(on: storage)
        var topic = try await database.topic("orders")
        _ = try await topic.append((0..<10).map { Record("\($0)") })
        var group = try await database.consumerGroup("billing")
        var consumer = try group.consumer(of: topic, all)
        #expect(try await texts(consumer, 4) == ["0", "1", "2", "3"])
        try await consumer.commit()
        #expect(try await texts(consumer, 2) == ["4", "5"])
        #expect(consumer.positions == [TopicPartition("orders", 0): 6])
        #expect(await group.lag(of: topic) == [6])
        try await database.close()
        await expectDatabaseError(.closed) { _ = try await texts(consumer) }

        database = try await Database.open(on: storage)
        topic = try await database.topic(named: "orders")
        group = try await database.consumerGroup("billing")
        consumer = try group.consumer(of: topic, all)
        #expect(try await texts(consumer) == (4..<10).map(String.init))
        try await consumer.commit()
        #expect(try await texts(consumer) == [])
        #expect(await group.lag(of: topic) == [0])
        try await database.close()
    }

    @Test func withoutAnOffsetThePolicyDecides() async throws {
        let database = try await database()
        let topic = try await database.topic("orders")
        _ = try await topic.append((0..<3).map { Record("\($0)") })
        let group = try await database.consumerGroup("billing")
        let earliest = try group.consumer(of: topic, .init(autoOffsetReset: .earliest))
        #expect(try await texts(earliest, 1) == ["0"])
        try await earliest.close()
        let latest = try group.consumer(
            of: topic, .init(autoOffsetReset: .latest, following: false))
        #expect(try await texts(latest) == [])
        _ = try await topic.append([Record("3")])
        #expect(try await texts(latest) == ["3"])
        try await latest.close()
        let none = try group.consumer(of: topic, .init(autoOffsetReset: .none, following: false))
        await expectDatabaseError(.offsetOutOfRange, "from 0 to 4, found none") {
            _ = try await texts(none)
        }
        try await none.seek(TopicPartition("orders", 0), to: 2)
        #expect(try await texts(none) == ["2", "3"])
        await expectDatabaseError(.partitionRevoked, "other[0]") {
            try await none.seek(TopicPartition("other", 0), to: 2)
        }
        try await none.commit()
        try await none.close()
        // An offset that the log does not have yet is no better than none.
        try await group.commit([TopicPartition("orders", 0): CommittedOffset(99)])
        let beyond = try group.consumer(of: topic, all)
        #expect(try await texts(beyond) == ["0", "1", "2", "3"])
        try await database.close()
    }

    @Test func partitionsTakeTurns() async throws {
        let database = try await database()
        let topic = try await database.topic("orders", .init(partitions: 3))
        // One partition is far ahead of the others.
        for (partition, count) in [(0, 1000), (1, 100), (2, 100)] {
            for _ in 0..<count / 50 {
                _ = try await topic[partition].append((0..<50).map { _ in Record("x") })
            }
        }
        let group = try await database.consumerGroup("billing")
        let consumer = try group.consumer(of: topic, all)
        var order: [Int] = []
        var next = [0, 0, 0]
        for try await record in consumer {
            let partition = record.place.partition
            #expect(Int(record.record.offset) == next[partition])
            next[partition] += 1
            order.append(partition)
        }
        #expect(next == [1000, 100, 100])
        // The small ones were done after two turns of each.
        let turn = Consumer.Iterator.turnRecords
        #expect(Set(order.prefix(2 * turn)) == [0, 1])
        #expect(order.prefix(6 * turn).filter { $0 != 0 }.count == 200)
        try await database.close()
    }

    @Test func aFollowerWaitsForRecordsAndEndsWithTheDatabase() async throws {
        let database = try await database()
        let topic = try await database.topic("orders", .init(partitions: 2))
        let group = try await database.consumerGroup("billing")
        let consumer = try group.consumer(of: topic)
        let seen = Shared<[String]>([])
        let reader = Task {
            for try await record in consumer { seen.value.withLock { $0.append(record.text!) } }
        }
        for number in 0..<40 {
            _ = try await topic[number % 2].append([Record("\(number)")])
            try await eventually("record \(number)") {
                seen.value.withLock { $0.count } == number + 1
            }
        }
        #expect(seen.value.withLock { $0 } == (0..<40).map(String.init))
        try await database.close()
        try await reader.value
    }

    /// One look for each record: counted, since a follower that spins does its work as well.
    @Test func anIdleFollowerSleeps() async throws {
        let database = try await database()
        let topic = try await database.topic("orders")
        let log = try #require(topic[0].log as? PartitionLog<SimulatedStorage>)
        let consumer = try await database.consumerGroup("billing").consumer(of: topic)
        let seen = Shared(0)
        let reader = Task {
            for try await _ in consumer { seen.value.withLock { $0 += 1 } }
        }
        // For records, and for the end of the database.
        let followers = 2
        try await eventually("it sleeps") { log.state.followerCount == followers }
        for number in 1...3 {
            _ = try await topic.append([Record("x")])
            try await eventually("record \(number), and it sleeps") {
                seen.value.withLock { $0 } == number && log.state.followerCount == followers
            }
        }
        #expect(log.state.waitCount == UInt64(4 * followers))
        try await database.close()
        try await reader.value
    }

    @Test func aCancelledReaderEnds() async throws {
        let database = try await database()
        let topic = try await database.topic("orders")
        let group = try await database.consumerGroup("billing")
        let consumer = try group.consumer(of: topic)
        let reader = Task { try await texts(consumer) }
        try await Task.sleep(for: .milliseconds(20))
        reader.cancel()
        #expect(try await reader.value == [])
        // So does one whose consumer is closed, with or without partitions.
        let second = try group.consumer(of: topic)
        #expect(second.assignment == [])
        let readers = [consumer, second].map { consumer in Task { try await texts(consumer) } }
        try await Task.sleep(for: .milliseconds(20))
        try await second.close()
        #expect(try await readers[1].value == [])
        try await database.close()
        #expect(try await readers[0].value == [])
    }

    /// A partition that fails at each attempt has its turns and no more.
    @Test func aPartitionThatFailsDoesNotHoldBackTheOthers() async throws {
        let database = try await database()
        let topic = try await database.topic("orders", .init(partitions: 3))
        for partition in topic.partitions {
            _ = try await partition.append((0..<100).map { Record("\($0)") })
        }
        let group = try await database.consumerGroup("billing")
        // Nothing says where to begin in the first and the last.
        try await group.commit([TopicPartition("orders", 1): CommittedOffset(0)])
        let consumer = try group.consumer(
            of: topic, .init(autoOffsetReset: .none, following: false))
        var iterator = consumer.makeAsyncIterator()
        var (found, failures) = (0, [Int: Int]())
        for _ in 0..<120 where found < 100 {
            do {
                let record = try #require(try await iterator.next())
                #expect(record.place.partition == 1)
                found += 1
            } catch let error as DatabaseError {
                #expect(error.code == .offsetOutOfRange)
                failures["\(error)".contains("orders[0]") ? 0 : 2, default: 0] += 1
            }
        }
        #expect(found == 100)
        // One round for each turn of the second.
        #expect(failures == [0: 2, 2: 1])
        for partition in [0, 2] {
            try await consumer.seek(TopicPartition("orders", partition), to: 0)
        }
        #expect(try await texts(consumer).count == 200)
        try await database.close()
    }

    @Test func aSeekWakesAFollower() async throws {
        let database = try await database()
        let topic = try await database.topic("orders")
        let log = try #require(topic[0].log as? PartitionLog<SimulatedStorage>)
        for number in 0..<3 { _ = try await topic.append([Record("\(number)")]) }
        let consumer = try await database.consumerGroup("billing").consumer(of: topic)
        let seen = Shared<[String]>([])
        let reader = Task {
            for try await record in consumer { seen.value.withLock { $0.append(record.text!) } }
        }
        try await eventually("it is at the end, and sleeps") {
            seen.value.withLock { $0.count } == 3 && log.state.followerCount == 2
        }
        try await consumer.seek(TopicPartition("orders", 0), to: 1)
        try await eventually("it went back") { seen.value.withLock { $0.count } == 5 }
        #expect(seen.value.withLock { $0 } == ["0", "1", "2", "1", "2"])
        try await database.close()
        try await reader.value
    }

    /// Cancelled on its way to records of which all were aborted: the end, not an error.
    @Test func aReaderThatIsCancelledInBetweenEnds() async throws {
        let storage = SimulatedStorage(seed: 1)
        let database = try await Database.open(on: storage)
        let topic = try await database.topic("orders")
        _ = try await topic.append([Record("a")])
        let producer = try await database.producer(transactionalID: "mill")
        try await producer.begin()
        for _ in 0..<3 { _ = try await producer.append([Record("x")], to: topic) }
        try await producer.abort()
        _ = try await topic.append([Record("b")])
        let consumer = try await database.consumerGroup("billing").consumer(
            of: topic,
            .init(
                autoCommitIntervalMilliseconds: 0, maxPartitionFetchBytes: 1, following: false))
        #expect(try await texts(consumer, 1) == ["a"])
        // Its commit comes first, and takes its time.
        storage.holdCompletions(of: [.write, .sync])
        let reader = Task { try await texts(consumer) }
        await storage.waitForHeld()
        reader.cancel()
        storage.releaseCompletions()
        #expect(try await reader.value == [])
        #expect(try await texts(consumer) == ["b"])
        try await database.close()
    }

    @Test func aRevokedPartitionCannotBeCommitted() async throws {
        let database = try await database()
        let topic = try await database.topic("orders", .init(partitions: 2))
        for partition in topic.partitions {
            _ = try await partition.append((0..<100).map { Record("\($0)") })
        }
        let group = try await database.consumerGroup("billing")
        let first = try group.consumer(of: topic, all)
        var last: [Int: ConsumerRecord] = [:]
        var count = 0
        for try await record in first {
            last[record.place.partition] = record
            count += 1
            if count == 100 { break }
        }
        #expect(last.count == 2)
        let second = try group.consumer(of: topic, all)
        #expect(first.assignment == [TopicPartition("orders", 0)])
        #expect(second.assignment == [TopicPartition("orders", 1)])
        await expectDatabaseError(.partitionRevoked, "orders[1]") {
            try await first.commit(last[1]!)
        }
        // The one that it kept is committed, the other named.
        await expectDatabaseError(.partitionRevoked, "orders[1]") { try await first.commit() }
        #expect(await group.committed(TopicPartition("orders", 0))?.offset == 64)
        #expect(await group.committed(TopicPartition("orders", 1)) == nil)
        // Told once.
        try await first.commit()
        // The new owner begins at what was committed: nothing.
        #expect(try await texts(second).count == 100)
        try await second.commit()
        try await second.close()
        // Gained again, the partition is at the other's commit, and old records do not count.
        #expect(try await texts(first).count == 36)
        await expectDatabaseError(.partitionRevoked, "orders[1]") {
            try await first.commit(last[1]!)
        }
        try await first.commit()
        #expect(await group.lag(of: topic) == [0, 0])
        try await database.close()
    }

    /// A commit that was admitted before a partition changed hands is where the new owner begins.
    @Test func aNewOwnerWaitsForTheOldOnesCommit() async throws {
        let storage = SimulatedStorage(seed: 1)
        let database = try await Database.open(on: storage)
        let topic = try await database.topic("orders")
        _ = try await topic.append((0..<10).map { Record("\($0)") })
        let group = try await database.consumerGroup("billing")
        let first = try group.consumer(of: topic, all)
        #expect(try await texts(first, 6).count == 6)
        storage.holdCompletions(of: [.write, .sync])
        let commit = Task { try await first.commit() }
        try await eventually("the commit is on its way") { storage.heldCount > 0 }
        let second = try group.consumer(of: topic, all)
        group.session.leave(1)
        let read = Task { try await texts(second) }
        try await Task.sleep(for: .milliseconds(20))
        storage.releaseCompletions()
        try await commit.value
        #expect(try await read.value == ["6", "7", "8", "9"])
        try await database.close()
    }

    @Test func commitsCanBeAutomatic() async throws {
        let storage = SimulatedStorage(seed: 1)
        let database = try await Database.open(on: storage)
        let topic = try await database.topic("orders")
        _ = try await topic.append((0..<10).map { Record("\($0)") })
        let group = try await database.consumerGroup("billing")
        let place = TopicPartition("orders", 0)
        let consumer = try group.consumer(
            of: topic, .init(autoCommitIntervalMilliseconds: 1000, following: false))
        var iterator = consumer.makeAsyncIterator()
        for _ in 0..<3 { _ = try await iterator.next() }
        #expect(await group.committed(place) == nil)
        storage.simulatedClock.advance(milliseconds: 1000)
        // The fourth is handed out, not processed.
        #expect(try await iterator.next()?.text == "3")
        #expect(await group.committed(place)?.offset == 3)
        // A clock that goes back does not hold commits up.
        storage.simulatedClock.advance(milliseconds: -5000)
        #expect(try await iterator.next()?.text == "4")
        #expect(await group.committed(place)?.offset == 4)
        #expect(try await iterator.next()?.text == "5")
        try await consumer.close()
        #expect(await group.committed(place)?.offset == 6)
        try await consumer.close()
        #expect(!group.session.hasMembers)
        try await database.close()
    }

    /// Workers come and go, each reading and committing; in the end every record was handed out,
    /// none was skipped, and the group's offsets are at the end.
    @Test func everyRecordReachesAWorker() async throws {
        for seed in UInt64(0)..<12 {
            var random = SeededGenerator(seed: seed)
            let database = try await database(seed)
            let topic = try await database.topic("orders", .init(partitions: 5))
            for partition in topic.partitions {
                _ = try await partition.append((0..<200).map { Record("\($0)") })
            }
            let group = try await database.consumerGroup("billing")
            let seen = Shared<Set<RecordPosition>>([])
            try await withThrowingTaskGroup(of: Void.self) { workers in
                for _ in 0..<6 {
                    let life = Int.random(in: 1...150, using: &random)
                    let step = Int.random(in: 1...40, using: &random)
                    workers.addTask {
                        let consumer = try group.consumer(of: topic, .init(following: false))
                        var count = 0
                        for try await record in consumer {
                            let place = record.place.partition
                            seen.value.withLock {
                                _ = $0.insert(
                                    RecordPosition(
                                        partition: place, offset: record.record.offset))
                            }
                            count += 1
                            if count % step == 0 {
                                do { try await consumer.commit() } catch {
                                    let code = (error as? DatabaseError)?.code
                                    #expect(code == .partitionRevoked, "seed \(seed)")
                                }
                            }
                            if count == life { break }
                        }
                        try await consumer.close()
                    }
                }
                try await workers.waitForAll()
            }
            // What is committed was handed out.
            for (place, committed) in await group.committed() {
                for offset in 0..<committed.offset {
                    let position = RecordPosition(partition: place.partition, offset: offset)
                    #expect(seen.value.withLock { $0.contains(position) }, "seed \(seed)")
                }
            }
            let last = try group.consumer(of: topic, all)
            for try await record in last {
                seen.value.withLock {
                    _ = $0.insert(
                        RecordPosition(
                            partition: record.place.partition, offset: record.record.offset))
                }
            }
            try await last.commit()
            #expect(seen.value.withLock { $0.count } == 1000, "seed \(seed)")
            #expect(await group.lag(of: topic) == [0, 0, 0, 0, 0], "seed \(seed)")
            try await database.close()
        }
    }

    @Test func settingsThatCannotWorkAreRefused() async throws {
        let database = try await database()
        let topic = try await database.topic("orders")
        let group = try await database.consumerGroup("billing")
        for (name, configuration) in [
            ("maxPartitionFetchBytes", ConsumerConfiguration(maxPartitionFetchBytes: 0)),
            ("fetchMaxBytes", ConsumerConfiguration(fetchMaxBytes: -1)),
            (
                "autoCommitIntervalMilliseconds",
                ConsumerConfiguration(autoCommitIntervalMilliseconds: -1)
            ),
        ] {
            await expectDatabaseError(.invalidConfiguration, name) {
                _ = try group.consumer(of: topic, configuration)
            }
        }
        #expect(!group.session.hasMembers)
        try await database.close()
    }

    /// What keeps offsets from being committed does not keep records from being read.
    @Test func anAutomaticCommitThatFailsIsToldAndTriedAgain() async throws {
        let storage = SimulatedStorage(seed: 1)
        let database = try await Database.open(on: storage)
        let topic = try await database.topic("orders")
        _ = try await topic.append((0..<10).map { Record("\($0)") })
        let group = try await database.consumerGroup("billing")
        let consumer = try group.consumer(
            of: topic, .init(autoCommitIntervalMilliseconds: 1000, following: false))
        var iterator = consumer.makeAsyncIterator()
        for number in 0..<3 { #expect(try await iterator.next()?.text == "\(number)") }
        storage.simulatedClock.advance(milliseconds: 1000)
        storage.inject(Fault(.noSpace, at: 1, of: .write, isPersistent: true))
        await expectDatabaseError(.log, "read-only") { _ = try await iterator.next() }
        for number in 3..<10 { #expect(try await iterator.next()?.text == "\(number)") }
        #expect(try await iterator.next() == nil)
        // Told again once an interval is over.
        storage.simulatedClock.advance(milliseconds: 1000)
        await expectDatabaseError(.log, "read-only") { _ = try await iterator.next() }
        #expect(try await iterator.next() == nil)
        storage.clearFaults()
        try await eventually("the log of the offsets resumes") {
            storage.simulatedClock.advance(milliseconds: 1000)
            // It throws while the log is read-only.
            _ = try? await iterator.next()
            return await group.committed(TopicPartition("orders", 0))?.offset == 10
        }
        try await database.close()
    }

    /// One that waits for records does not wait for them to commit what it has handed out.
    @Test func aFollowerTriesAFailedCommitAgain() async throws {
        let storage = SimulatedStorage(seed: 1)
        let database = try await Database.open(on: storage)
        let topic = try await database.topic("orders")
        _ = try await topic.append([Record("0"), Record("1")])
        let group = try await database.consumerGroup("billing")
        let consumer = try group.consumer(of: topic, .init(autoCommitIntervalMilliseconds: 20))
        let failures = Shared(0)
        storage.inject(Fault(.noSpace, at: 1, of: .write, isPersistent: true))
        let reader = Task {
            var iterator = consumer.makeAsyncIterator()
            while true {
                do {
                    if try await iterator.next() == nil { return }
                } catch { failures.value.withLock { $0 += 1 } }
            }
        }
        try await eventually("the commit fails") { failures.value.withLock { $0 > 0 } }
        storage.clearFaults()
        try await eventually("and is tried again") {
            storage.simulatedClock.advance(milliseconds: 20)
            return await group.committed(TopicPartition("orders", 0))?.offset == 2
        }
        try await database.close()
        await reader.value
    }
}
