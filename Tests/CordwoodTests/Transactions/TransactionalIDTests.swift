import CordwoodSimulation
import TestSupport
import Testing

@testable import Cordwood

/// What an id is good for, and how long.
@Suite(.timeLimit(.minutes(20))) struct TransactionalIDTests {
    @Test func idsThatNobodyUsesAreForgotten() async throws {
        let storage = SimulatedStorage(seed: 1)
        let day: Int64 = 86_400_000
        var database = try await Database.open(on: storage)
        var coordinator = try await database.services.transactionCoordinator()
        let topic = try await database.topic("orders")
        let idle = try await database.producer(transactionalID: "idle")
        try await idle.transaction { _ = try await $0.append([Record("x")], to: topic) }
        let used = try await database.producer(transactionalID: "used")
        storage.simulatedClock.advance(milliseconds: 7 * day - 1)
        try await used.transaction { _ = try await $0.append([Record("y")], to: topic) }
        await coordinator.lookAfter()
        #expect(await coordinator.ids == ["idle", "used"])
        storage.simulatedClock.advance(milliseconds: 1)
        await coordinator.lookAfter()
        #expect(await coordinator.ids == ["used"])
        try await idle.begin()
        await expectDatabaseError(.producerFenced, "expired") {
            try await idle.append([Record("late")], to: topic)
        }
        // Nor does what was asked of an unknown id stay.
        await coordinator.lookAfter()
        #expect(await coordinator.ids == ["used"])
        try await database.close()

        // Set back by a year, the clock keeps ids for no longer than the time that it then runs.
        database = try await Database.open(on: storage)
        coordinator = try await database.services.transactionCoordinator()
        #expect(await coordinator.ids == ["used"])
        storage.simulatedClock.advance(milliseconds: -365 * day)
        await coordinator.lookAfter()
        storage.simulatedClock.advance(milliseconds: 7 * day - 1)
        await coordinator.lookAfter()
        #expect(await coordinator.ids == ["used"])
        storage.simulatedClock.advance(milliseconds: 1)
        await coordinator.lookAfter()
        #expect(await coordinator.ids == [])
        let again = try await database.producer(transactionalID: "idle")
        #expect(![idle.producerID, used.producerID].contains(again.producerID))
        try await database.close()
        await expectDatabaseError(.invalidConfiguration, "transactionalIDExpiration") {
            _ = try await Database.open(
                on: storage, .init(transactionalIDExpirationMilliseconds: 0))
        }
    }

    /// Whoever asks for an id while it is being forgotten gets it anew, to work with.
    @Test func anIDThatComesBackWhileItIsForgottenWorks() async throws {
        let storage = SimulatedStorage(seed: 1)
        let database = try await Database.open(
            on: storage, .init(transactionalIDExpirationMilliseconds: 1000))
        let topic = try await database.topic("orders")
        let coordinator = try await database.services.transactionCoordinator()
        let old = try await database.producer(transactionalID: "t")
        storage.holdCompletions()
        storage.simulatedClock.advance(milliseconds: 1000)
        let upkeep = Task { await coordinator.lookAfter() }
        await storage.waitForHeld()
        let next = Task { try await database.producer(transactionalID: "t") }
        for _ in 0..<1000 { await Task.yield() }
        storage.releaseCompletions()
        await upkeep.value
        let new = try await next.value
        #expect(new.producerID != old.producerID)
        try await new.transaction { _ = try await $0.append([Record("x")], to: topic) }
        #expect(try await texts(topic[0]) == ["x"])
        try await database.close()
    }

    /// An id could not be forgotten, and is used again: its transaction is none of those that could
    /// not be ended.
    @Test func anIDThatCouldNotBeForgottenGoesOn() async throws {
        let storage = SimulatedStorage(seed: 1)
        let database = try await Database.open(
            on: storage, .init(transactionalIDExpirationMilliseconds: 1000))
        let topic = try await database.topic("orders")
        let coordinator = try await database.services.transactionCoordinator()
        let producer = try await database.producer(transactionalID: "t")
        storage.inject(Fault(.noSpace, at: 1, of: .write))
        storage.simulatedClock.advance(milliseconds: 1000)
        await coordinator.lookAfter()
        #expect(await database.transactionFailures.map(\.place.topic) == ["__transaction_state"])
        storage.simulatedClock.advance(milliseconds: -1000)
        try await producer.begin()
        try await eventually("there is space again") {
            do { try await producer.append([Record("x")], to: topic) } catch { return false }
            return true
        }
        for _ in 0..<3 { await coordinator.lookAfter() }
        try await producer.commit()
        #expect(try await texts(topic[0]) == ["x"])
        #expect(await database.transactionFailures.isEmpty)
        try await database.close()
    }

    /// Offsets that come when the transaction is over must not become part of the next one.
    @Test func offsetsThatComeTooLateAreRefused() async throws {
        let storage = SimulatedStorage(seed: 1)
        let database = try await Database.open(on: storage)
        let input = try await database.topic("input")
        _ = try await input.append([Record("0"), Record("1")])
        let group = try await database.consumerGroup("doubler")
        let place = TopicPartition("input", 0)
        let coordinator = try await database.services.transactionCoordinator()
        let holder = try await coordinator.initialise("t", timeoutMilliseconds: 5000)
        let offsets = TopicPartition(InternalTopic.consumerOffsets.rawValue, 0)
        try await coordinator.add([offsets], to: "t", holder)
        storage.simulatedClock.advance(milliseconds: 5000)
        await coordinator.lookAfter()
        let record = OffsetRecord(group: "doubler", place: place, committed: CommittedOffset(2))
        let (commit, _) = group.session.begin([place])
        await expectDatabaseError(.producerFenced) {
            try await coordinator.addOffsets(
                [(record, 7)], group.session, commit: #require(commit), to: "t", holder)
        }
        group.session.end(try #require(commit))
        let next = try await coordinator.initialise("t", timeoutMilliseconds: 5000)
        // Nothing is open, or the topic of the offsets is not part of it.
        for partitions: Set in [[], [place]] {
            if !partitions.isEmpty { try await coordinator.add(partitions, to: "t", next) }
            await expectDatabaseError(.invalidTransactionState) {
                try await coordinator.addOffsets(
                    [(record, 7)], group.session, commit: 1, to: "t", next)
            }
        }
        try await coordinator.end("t", next, .commit)
        #expect(await group.committed(place) == nil)
        try await database.close()
    }

    /// The partition was cut behind the producer's back: what it has of the sequence is not what the
    /// producer knows.
    @Test func anAbortAfterAFailedAppendBeginsTheSequencesAnew() async throws {
        let storage = SimulatedStorage(seed: 1)
        let database = try await Database.open(on: storage)
        let topics = [try await database.topic("debits"), try await database.topic("credits")]
        let producer = try await database.producer(transactionalID: "t")
        let (producerID, epoch) = (producer.producerID, producer.epoch)
        try await producer.transaction { producer in
            for topic in topics { try await producer.append([Record("kept")], to: topic) }
        }
        try await producer.begin()
        try await producer.append([Record("lost"), Record("lost")], to: topics[0])
        try await topics[0][0].log.truncate(to: 2)
        await expectDatabaseError(.log, "out of order") {
            try await producer.append([Record("refused")], to: topics[0])
        }
        await expectDatabaseError(.invalidTransactionState) { try await producer.commit() }
        // The abort is decided, its marker written, and then the disk is full for a moment.
        storage.holdCompletions()
        let abort = Task { () -> DatabaseError? in
            do { try await producer.abort() } catch { return error as? DatabaseError }
            return nil
        }
        for _ in 0..<2 {
            await storage.waitForHeld()
            storage.completeHeld()
        }
        await storage.waitForHeld()
        storage.inject(Fault(.noSpace, at: 1, of: .write))
        storage.releaseCompletions()
        #expect(await abort.value?.code == .log)
        try await eventually("the abort is tried again") {
            do { try await producer.abort() } catch { return false }
            return true
        }
        #expect(producer.producerID == producerID && producer.epoch == epoch + 1)
        try await producer.transaction { producer in
            for topic in topics { try await producer.append([Record("new")], to: topic) }
        }
        for topic in topics { #expect(try await texts(topic[0]) == ["kept", "new"]) }
        try await database.close()
    }
}
