import CordwoodSimulation
import TestSupport
import Testing

@testable import Cordwood

@Suite(.timeLimit(.minutes(20))) struct TransactionTests {
    private struct Refusal: Error {}

    @Test func allOrNothingOverTwoTopics() async throws {
        let database = try await Database.open(on: SimulatedStorage(seed: 1))
        let debits = try await database.topic("debits")
        let credits = try await database.topic("credits", .init(partitions: 2))
        let producer = try await database.producer(transactionalID: "transfers")
        try await producer.begin()
        let receipt = try await producer.append([Record("-5")], to: debits)
        #expect(receipt.firstOffset == 0)
        try await producer.append([Record("+5", key: "a"), Record("+6", key: "b")], to: credits)
        #expect(try await texts(debits[0]) == [])
        #expect(try await texts(debits[0], .uncommitted) == ["-5"])
        #expect(debits[0].lastStableOffset == 0)
        try await producer.commit()
        #expect(try await texts(debits[0]) == ["-5"])
        var both = try await texts(credits[0])
        both += try await texts(credits[1])
        #expect(Set(both) == ["+5", "+6"])
        // An aborted one is never seen.
        do {
            try await producer.transaction { producer in
                try await producer.append([Record("-7")], to: debits)
                try await producer.append([Record("+7")], to: credits)
                throw Refusal()
            }
            Issue.record("expected the error of the body")
        } catch { #expect(error is Refusal) }
        #expect(try await texts(debits[0]) == ["-5"])
        #expect(try await texts(debits[0], .uncommitted) == ["-5", "-7"])
        #expect(debits[0].lastStableOffset == debits[0].endOffset)
        let value = try await producer.transaction { producer in
            try await producer.append([Record("-8"), Record("-9")], to: debits).lastOffset
        }
        #expect(value == 5)
        #expect(try await texts(debits[0]) == ["-5", "-8", "-9"])
        #expect(database.topicNames == ["credits", "debits"])
        try await database.close()
    }

    @Test func callsOutOfPlaceAreRefused() async throws {
        let database = try await Database.open(on: SimulatedStorage(seed: 1))
        let topic = try await database.topic("orders")
        let producer = try await database.producer(transactionalID: "t")
        await expectDatabaseError(.invalidTransactionState, "commit") {
            try await producer.commit()
        }
        await expectDatabaseError(.invalidTransactionState, "append") {
            try await producer.append([Record("x")], to: topic)
        }
        try await producer.begin()
        await expectDatabaseError(.invalidTransactionState, "begin") { try await producer.begin() }
        await expectDatabaseError(.emptyBatch) { try await producer.append([], to: topic) }
        // Of nothing.
        try await producer.commit()
        for id in ["", String(repeating: "x", count: 250)] {
            await expectDatabaseError(.invalidName) {
                _ = try await database.producer(transactionalID: id)
            }
        }
        for timeout in [0, -1, 900_001] {
            await expectDatabaseError(.invalidConfiguration) {
                _ = try await database.producer(
                    transactionalID: "t", transactionTimeoutMilliseconds: timeout)
            }
        }
        try await database.close()
    }

    @Test func aNewHolderFencesTheOld() async throws {
        let storage = SimulatedStorage(seed: 1)
        let database = try await Database.open(on: storage)
        let topic = try await database.topic("orders")
        let old = try await database.producer(transactionalID: "t")
        try await old.begin()
        try await old.append([Record("lost")], to: topic)
        let new = try await database.producer(transactionalID: "t")
        #expect(new.producerID == old.producerID && new.epoch > old.epoch)
        // The old one's transaction was aborted.
        #expect(topic[0].lastStableOffset == topic[0].endOffset)
        await expectDatabaseError(.producerFenced) {
            try await old.append([Record("x")], to: topic)
        }
        await expectDatabaseError(.producerFenced) { try await old.commit() }
        try await new.transaction { _ = try await $0.append([Record("kept")], to: topic) }
        #expect(try await texts(topic[0]) == ["kept"])
        let other = try await database.producer(transactionalID: "other")
        #expect(other.producerID != new.producerID)
        try await database.close()
        // Ids are never given twice.
        let again = try await Database.open(on: storage)
        let third = try await again.producer(transactionalID: "third")
        #expect(![new.producerID, other.producerID].contains(third.producerID))
        let same = try await again.producer(transactionalID: "t")
        #expect(same.producerID == new.producerID && same.epoch > new.epoch)
        try await again.close()
    }

    @Test func aTransactionThatTakesTooLongIsAborted() async throws {
        let storage = SimulatedStorage(seed: 1)
        let database = try await Database.open(on: storage)
        let topic = try await database.topic("orders")
        let producer = try await database.producer(
            transactionalID: "t", transactionTimeoutMilliseconds: 5000)
        try await producer.begin()
        try await producer.append([Record("late")], to: topic)
        storage.simulatedClock.advance(milliseconds: 4999)
        let coordinator = try await database.services.transactionCoordinator()
        await coordinator.lookAfter()
        #expect(topic[0].lastStableOffset == 0)
        storage.simulatedClock.advance(milliseconds: 1)
        await coordinator.lookAfter()
        #expect(topic[0].lastStableOffset == topic[0].endOffset)
        #expect(try await texts(topic[0]) == [])
        await expectDatabaseError(.producerFenced) { try await producer.commit() }
        // Nobody has to look: the commit itself is too late.
        let second = try await database.producer(
            transactionalID: "t", transactionTimeoutMilliseconds: 5000)
        try await second.begin()
        try await second.append([Record("late")], to: topic)
        storage.simulatedClock.advance(milliseconds: 6000)
        await expectDatabaseError(.producerFenced) { try await second.commit() }
        #expect(try await texts(topic[0]) == [])
        try await database.close()
    }

    /// Read, process, write: a consumer's offsets are part of the transaction.
    @Test func offsetsAreCommittedWithTheTransaction() async throws {
        let storage = SimulatedStorage(seed: 1)
        var database = try await Database.open(on: storage)
        let input = try await database.topic("input")
        let output = try await database.topic("output")
        _ = try await input.append((0..<6).map { Record("\($0)") })
        let group = try await database.consumerGroup("doubler")
        let place = TopicPartition("input", 0)
        let consumer = try group.consumer(of: input, .init(following: false))
        let producer = try await database.producer(transactionalID: "doubler")
        var iterator = consumer.makeAsyncIterator()
        func double() async throws {
            let record = try await iterator.next()!
            let number = Int(record.text!)! * 2
            try await producer.append([Record("\(number)")], to: output)
        }
        try await producer.begin()
        try await double()
        try await double()
        try await producer.commitOffsets(of: consumer)
        #expect(await group.committed(place) == nil)
        try await producer.commit()
        #expect(await group.committed(place)?.offset == 2)
        try await producer.begin()
        try await double()
        await expectDatabaseError(.groupInUse) {
            try await producer.commitOffsets([place: CommittedOffset(9)], group: group)
        }
        try await producer.commitOffsets(of: consumer)
        try await producer.abort()
        #expect(await group.committed(place)?.offset == 2)
        // Back to what is committed, and once more.
        try await consumer.seek(place, to: 2)
        iterator = consumer.makeAsyncIterator()
        try await producer.begin()
        try await double()
        try await producer.commitOffsets(of: consumer)
        try await producer.commit()
        #expect(try await texts(output[0]) == ["0", "2", "4"])
        // A plain commit while a transaction has the offsets topic open counts at once.
        try await producer.begin()
        try await double()
        try await producer.commitOffsets(of: consumer)
        let other = try await database.consumerGroup("other")
        try await other.commit([place: CommittedOffset(1)])
        #expect(await other.committed(place)?.offset == 1)
        storage.crash(.dropUnsynced)
        database = try await Database.open(on: storage)
        #expect(try await database.consumerGroup("doubler").committed(place)?.offset == 3)
        #expect(try await database.consumerGroup("other").committed(place)?.offset == 1)
        #expect(try await texts(database.topic(named: "output")[0]) == ["0", "2", "4"])
        try await database.close()
    }

    /// Every operation of a series of transactions is the last one that reaches the disk. After
    /// reopening, both partitions have the same transactions, whole, and all that were acknowledged;
    /// none is left open.
    @Test(arguments: [Crash.bySeed, .dropUnsynced, .keepAll])
    func aCrashAnywhereIsAllOrNothing(ending: Crash) async throws {
        var operation = 0
        var ranClean = false
        while !ranClean {
            // All of them once; the other ways to end are for a third.
            operation += ending == .bySeed ? 1 : 3
            let context: Comment = "operation \(operation), \(ending)"
            let storage = SimulatedStorage(seed: UInt64(operation))
            var database = try await Database.open(on: storage)
            var topics = [
                try await database.topic("debits"), try await database.topic("credits"),
            ]
            var acknowledged: Set<String> = []
            var aborted: Set<String> = []
            storage.inject(Fault(.inputOutput, at: operation, isPersistent: true))
            do {
                let producer = try await database.producer(transactionalID: "transfers")
                for number in 0..<3 {
                    try await producer.begin()
                    for topic in topics {
                        try await producer.append(
                            [Record("\(number)"), Record("\(number)")], to: topic)
                    }
                    if number == 1 {
                        aborted.insert("\(number)")
                        try await producer.abort()
                    } else {
                        try await producer.commit()
                        acknowledged.insert("\(number)")
                        for topic in topics {
                            #expect(topic[0].lastStableOffset == topic[0].endOffset, context)
                        }
                    }
                }
                ranClean = true
            } catch { ranClean = false }
            storage.clearFaults()
            storage.crash(ending)
            // Once more in the middle of recovery.
            if operation % 3 == 0 {
                storage.inject(Fault(.inputOutput, at: 5 + operation % 17, isPersistent: true))
                _ = try? await Database.open(on: storage)
                storage.clearFaults()
                storage.crash(ending)
            }
            database = try await Database.open(on: storage)
            topics = [try await database.topic("debits"), try await database.topic("credits")]
            let found = [try await texts(topics[0][0]), try await texts(topics[1][0])]
            #expect(found[0] == found[1], context)
            #expect(acknowledged.isSubset(of: found[0]), context)
            #expect(aborted.isDisjoint(with: found[0]), context)
            for text in Set(found[0]) {
                #expect(found[0].filter { $0 == text }.count == 2, context)
            }
            for topic in topics {
                #expect(topic[0].lastStableOffset == topic[0].endOffset, context)
            }
            // And it goes on.
            let producer = try await database.producer(transactionalID: "transfers")
            try await producer.transaction { producer in
                for topic in topics { try await producer.append([Record("new")], to: topic) }
            }
            for (topic, before) in zip(topics, found) {
                #expect(try await texts(topic[0]) == before + ["new"], context)
            }
            try await database.close()
        }
        #expect(operation > 30)
    }
}
