import TestSupport
import Testing

@testable import Cordwood

@Suite struct TransactionStateTests {
    private let places: Set = [
        TopicPartition("a", 0), TopicPartition("a", 3), TopicPartition("b", 1),
    ]

    private func state(_ status: TransactionState.Status) -> TransactionState {
        TransactionState(
            producerID: 7, epoch: 2, timeoutMilliseconds: 1000, status: status,
            partitions: status == .ongoing ? places : [], updatedAt: 10,
            startedAt: status == .ongoing ? 10 : -1)
    }

    @Test func transitionsAreKafkas() async throws {
        var next = try #require(try state(.empty).adding([TopicPartition("a", 0)], now: 20))
        #expect(next.status == .ongoing && next.startedAt == 20)
        #expect(try next.adding([TopicPartition("a", 0)], now: 30) == nil)
        next = try #require(try next.adding([TopicPartition("b", 1)], now: 30))
        #expect(next.partitions.count == 2 && next.startedAt == 20 && next.updatedAt == 30)
        let prepared = try #require(try next.preparing(.commit, now: 40))
        #expect(prepared.status == .prepareCommit && prepared.partitions == next.partitions)
        #expect(prepared.marker == .commit && prepared.epoch == 2)
        let complete = try #require(prepared.completing(now: 50))
        #expect(complete.status == .completeCommit && complete.partitions == [])
        #expect(complete.startedAt == -1 && complete.marker == nil)
        #expect(complete.completing(now: 60) == nil)
        // The next one begins with nothing.
        next = try #require(try complete.adding([TopicPartition("c", 0)], now: 70))
        #expect(next.partitions == [TopicPartition("c", 0)] && next.startedAt == 70)
        let fenced = try #require(try next.preparing(.abort, fencing: true, now: 80))
        #expect(fenced.epoch == 3 && fenced.marker == .abort)
        #expect(fenced.completing(now: 90)?.status == .completeAbort)
    }

    @Test func aDecisionStands() async throws {
        let commits: [TransactionState.Status] = [.prepareCommit, .completeCommit]
        let aborts: [TransactionState.Status] = [.prepareAbort, .completeAbort]
        for (statuses, same, other) in [
            (commits, TransactionMarker.commit, TransactionMarker.abort), (aborts, .abort, .commit),
        ] {
            for status in statuses {
                #expect(try state(status).preparing(same, now: 20) == nil)
                await expectDatabaseError(.invalidTransactionState) {
                    _ = try state(status).preparing(other, now: 20)
                }
            }
        }
        for status in [TransactionState.Status.prepareCommit, .prepareAbort] {
            await expectDatabaseError(.invalidTransactionState) {
                _ = try state(status).adding([], now: 20)
            }
        }
    }

    @Test func onlyWhatIsOpenExpires() {
        #expect(!state(.ongoing).isExpired(now: 1009))
        #expect(state(.ongoing).isExpired(now: 1010))
        #expect(!state(.ongoing).isExpired(now: .min))
        #expect(!state(.prepareCommit).isExpired(now: .max))
        #expect(!state(.completeAbort).isExpired(now: .max))
    }

    @Test func onlyWhatNobodyUsesIsForgotten() {
        for status in [TransactionState.Status.empty, .completeCommit, .completeAbort] {
            #expect(state(status).idleness(now: 1009, limit: 1000) == .inUse)
            #expect(state(status).idleness(now: 1010, limit: 1000) == .expired)
            // The clock was set back, or ahead when the id was used last.
            #expect(state(status).idleness(now: -990, limit: 1000) == .inUse)
            #expect(state(status).idleness(now: -991, limit: 1000) == .unknown)
            var extreme = state(status)
            extreme.updatedAt = .max
            #expect(extreme.idleness(now: -10, limit: 1000) == .unknown)
            extreme.updatedAt = .min
            #expect(extreme.idleness(now: 10, limit: .max) == .expired)
        }
        for status in [TransactionState.Status.ongoing, .prepareCommit, .prepareAbort] {
            #expect(state(status).idleness(now: .max, limit: 1) == .inUse)
        }
    }

    @Test func attemptsComeFurtherApart() {
        let entry = TransactionEntry()
        var attempts: [Int] = []
        for round in 0..<100 {
            entry.failures = [TopicPartition("a", 0): DatabaseError(.log, "full")]
            guard entry.isDue() else { continue }
            attempts.append(round)
            entry.backOff()
        }
        #expect(attempts == [0, 2, 5, 10, 19, 36, 69])
        // Something new is not held up by what is over.
        entry.failures = [:]
        #expect(entry.isDue())
        entry.backOff()
        entry.failures = [TopicPartition("a", 0): DatabaseError(.log, "full")]
        #expect(entry.isDue())
    }

    private func stored(_ record: Record) -> StoredRecord {
        StoredRecord(offset: 5, timestamp: 0, key: record.key, value: record.value, headers: [])
    }

    @Test func recordsAreKafkas() throws {
        let record = TransactionRecord.state(id: "pay", state(.ongoing))
        let encoded = record.encode()
        #expect(encoded.key == [0, 0, 0, 3] + Array("pay".utf8))
        let expected: [UInt8] =
            [0, 0] + [0, 0, 0, 0, 0, 0, 0, 7] + [0, 2] + [0, 0, 3, 232] + [1]
            + [0, 0, 0, 2]
            + [0, 1, 97] + [0, 0, 0, 2] + [0, 0, 0, 0] + [0, 0, 0, 3]
            + [0, 1, 98] + [0, 0, 0, 1] + [0, 0, 0, 1]
            + [0, 0, 0, 0, 0, 0, 0, 10] + [0, 0, 0, 0, 0, 0, 0, 10]
        #expect(encoded.value == expected)
        #expect(try TransactionRecord(stored(encoded)) == record)
        let forgotten = TransactionRecord.forgotten(id: "pay")
        #expect(forgotten.encode() == Record(key: encoded.key, value: nil))
        #expect(try TransactionRecord(stored(forgotten.encode())) == forgotten)
        let ids = TransactionRecord.producerIDs(next: 3000)
        #expect(try TransactionRecord(stored(ids.encode())) == ids)
    }

    @Test func whatIsCutOrRandomIsRefusedOrRead() async throws {
        let encoded = TransactionRecord.state(id: "pay", state(.ongoing)).encode()
        for count in encoded.value!.indices {
            await expectDatabaseError(.malformedState, "offset 5", "\(count) bytes") {
                _ = try TransactionRecord(
                    stored(Record(key: encoded.key, value: Array(encoded.value![..<count]))))
            }
        }
        let ids = TransactionRecord.producerIDs(next: 3000).encode()
        for key in [ids.key, nil, [], [0], [0, 0], [0, 0, 0, 4, 97], encoded.key! + [0]] {
            await expectDatabaseError(.malformedState, "offset 5") {
                _ = try TransactionRecord(stored(Record(key: key, value: nil)))
            }
        }
        var newer = encoded
        newer.value![1] = 1
        await expectDatabaseError(.newerFormat, "found 0 and 1") {
            _ = try TransactionRecord(stored(newer))
        }
        for seed in UInt64(0)..<2000 {
            var random = SeededGenerator(seed: seed)
            var record = encoded
            for _ in 0..<3 {
                record.value![Int.random(in: 0..<record.value!.count, using: &random)] =
                    UInt8.random(in: 0...255, using: &random)
            }
            // Must end, without a trap.
            _ = try? TransactionRecord(stored(record))
        }
    }
}
