import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import Cordwood

@Suite(.timeLimit(.minutes(20))) struct TransactionTests {
    private func texts(
        _ partition: Partition, _ isolation: Isolation = .committed
    ) async throws -> [String] {
        var found: [String] = []
        for try await record in partition.records(
            from: 0, following: false, isolation: isolation)
        {
            found.append(record.text!)
        }
        return found
    }

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

    /// A commit waits for one sync of its partitions and one of their markers, not for each in turn.
    @Test func partitionsAreFlushedAndToldSideBySide() async throws {
        let storage = SimulatedStorage(seed: 1)
        let database = try await Database.open(on: storage)
        let topics = [try await database.topic("debits"), try await database.topic("credits")]
        let producer = try await database.producer(transactionalID: "t")
        try await producer.begin()
        for topic in topics { try await producer.append([Record("x")], to: topic) }
        storage.holdCompletions()
        async let commit: Void = producer.commit()
        try await eventually("both are flushed") { storage.heldCount == 2 }
        storage.completeHeld()
        // The decision.
        await storage.waitForHeld()
        #expect(storage.heldCount == 1)
        storage.completeHeld()
        try await eventually("both are told") { storage.heldCount == 2 }
        storage.releaseCompletions()
        try await commit
        for topic in topics { #expect(try await texts(topic[0]) == ["x"]) }
        try await database.close()
    }

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

    /// Lets a commit get as far as the markers, of which `count` are held then.
    private func hold(
        _ producer: TransactionalProducer, atMarkers count: Int, _ storage: SimulatedStorage
    ) async throws -> Task<DatabaseError?, Never> {
        storage.holdCompletions()
        let commit = Task { () -> DatabaseError? in
            do { try await producer.commit() } catch { return error as? DatabaseError }
            return nil
        }
        try await eventually("all are flushed") { storage.heldCount == count }
        storage.completeHeld()
        // The decision.
        await storage.waitForHeld()
        storage.completeHeld()
        try await eventually("all are told") { storage.heldCount == count }
        return commit
    }

    /// A partition cannot be told how a transaction ended: it is told later, by nobody's doing, and
    /// the group's offsets count once.
    @Test func aMarkerThatFailedIsWrittenInTheBackground() async throws {
        let storage = SimulatedStorage(seed: 1)
        let database = try await Database.open(on: storage)
        let topics = [try await database.topic("debits"), try await database.topic("credits")]
        let group = try await database.consumerGroup("g")
        let producer = try await database.producer(transactionalID: "t")
        let place = TopicPartition("debits", 0)
        try await producer.begin()
        for topic in topics { try await producer.append([Record("x")], to: topic) }
        try await producer.commitOffsets([place: CommittedOffset(1)], group: group)
        let commit = try await hold(producer, atMarkers: 3, storage)
        #expect(await database.transactionFailures.isEmpty)
        storage.inject(Fault(.noSpace, at: 1, of: .write))
        storage.releaseCompletions()
        let error = await commit.value
        #expect(error?.code == .log)
        let told = topics.filter { $0[0].lastStableOffset == $0[0].endOffset }.count
        let failures = await database.transactionFailures
        // Unless the background was faster.
        if let failure = failures.first {
            #expect(failures.count == 1 && failure.transactionalID == "t")
            #expect("\(error!)".contains("\(failure.place)"), "\(error!)")
            #expect(failure.error.code == .log && told >= 1)
        }
        try await eventually("it is ended") {
            await (try database.services.transactionCoordinator()).lookAfter()
            return await database.transactionFailures.isEmpty
        }
        for topic in topics { #expect(try await texts(topic[0]) == ["x"]) }
        #expect(await group.committed(place)?.offset == 1)
        // Only what failed was written again.
        let ends = topics.map { $0[0].endOffset }
        try await producer.commit()
        #expect(topics.map { $0[0].endOffset } == ends && ends == [2, 2])
        try await group.delete()
        #expect(await group.committed(place) == nil)
        try await producer.transaction { _ = try await $0.append([Record("y")], to: topics[0]) }
        #expect(await group.committed(place) == nil)
        try await database.close()
    }

    /// One topic cannot be opened after a crash. Its transaction waits for it, decided; all else
    /// goes on, and when the topic is back it is told.
    @Test func aTopicThatCannotBeOpenedHoldsUpItsTransactionAlone() async throws {
        let storage = SimulatedStorage(seed: 1)
        var database = try await Database.open(on: storage)
        var topics = [try await database.topic("debits"), try await database.topic("credits")]
        let place = TopicPartition("debits", 0)
        let group = try await database.consumerGroup("g")
        let producer = try await database.producer(transactionalID: "t")
        let other = try await database.producer(transactionalID: "other")
        try await other.begin()
        try await other.append([Record("open")], to: topics[0])
        try await producer.begin()
        for topic in topics { try await producer.append([Record("x")], to: topic) }
        try await producer.commitOffsets([place: CommittedOffset(1)], group: group)
        let commit = try await hold(producer, atMarkers: 3, storage)
        storage.crash(.dropUnsynced)
        storage.releaseCompletions()
        #expect(await commit.value != nil)
        let manifest = try StoragePath.root.appending("topics").appending("credits")
            .appending("0").appending("manifest")
        try storage.flip(manifest, byte: 0)

        database = try await Database.open(on: storage)
        let failures = await database.transactionFailures
        #expect(failures.map(\.transactionalID) == ["t"])
        #expect(failures.map(\.place) == [TopicPartition("credits", 0)])
        await expectDatabaseError(.newerFormat, "commit is decided") {
            _ = try await database.producer(transactionalID: "t")
        }
        let debits = try await database.topic("debits")
        #expect(try await texts(debits[0]) == ["x"])
        #expect(try await database.consumerGroup("g").committed(place)?.offset == 1)
        let next = try await database.producer(transactionalID: "other")
        try await next.transaction { _ = try await $0.append([Record("y")], to: debits) }
        #expect(try await texts(debits[0]) == ["x", "y"])

        try storage.flip(manifest, byte: 0)
        try await eventually("it is ended") {
            await (try database.services.transactionCoordinator()).lookAfter()
            return await database.transactionFailures.isEmpty
        }
        topics = [debits, try await database.topic("credits")]
        #expect(try await texts(topics[1][0]) == ["x"])
        #expect(try await database.consumerGroup("g").committed(place)?.offset == 1)
        _ = try await database.producer(transactionalID: "t")
        try await database.close()
    }

    /// Which of the groups' offsets count cannot be told before their topic has the markers.
    @Test func groupsWaitForTheEndsInTheirOwnTopicOnly() async throws {
        let storage = SimulatedStorage(seed: 1)
        var database = try await Database.open(on: storage)
        let topic = try await database.topic("debits")
        let place = TopicPartition("debits", 0)
        let group = try await database.consumerGroup("g")
        let producer = try await database.producer(transactionalID: "t")
        try await producer.begin()
        try await producer.append([Record("x")], to: topic)
        try await producer.commitOffsets([place: CommittedOffset(1)], group: group)
        let commit = try await hold(producer, atMarkers: 2, storage)
        storage.crash(.dropUnsynced)
        storage.releaseCompletions()
        #expect(await commit.value != nil)
        let manifest = try StoragePath.root.appending("topics")
            .appending(InternalTopic.consumerOffsets.rawValue).appending("0").appending("manifest")
        try storage.flip(manifest, byte: 0)
        database = try await Database.open(on: storage)
        #expect(await database.transactionFailures.map(\.place.partition) == [0])
        await expectDatabaseError(.newerFormat) { _ = try await database.consumerGroup("g") }
        try storage.flip(manifest, byte: 0)
        #expect(try await database.consumerGroup("g").committed(place)?.offset == 1)
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
