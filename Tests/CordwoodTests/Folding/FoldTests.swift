import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import Cordwood
@testable import CordwoodLog

/// A state whose every record counts: the sum of all values and what each key holds.
private struct Totals: Sendable, Equatable {
    var sum: Int = 0
    var latest: [Int] = Array(repeating: 0, count: 8)

    mutating func apply(_ record: ConsumerRecord) throws {
        guard let value = record.text.flatMap({ Int($0) }), let key = record.record.key?.first
        else { throw NotANumber() }
        sum += value
        latest[Int(key) % 8] = value
    }

    static func snapshots(
        every: Int = 5, version: UInt32 = 1, name: String = "totals"
    ) -> FoldSnapshots<Totals> {
        FoldSnapshots(name: name, version: version, everyRecords: every) { state in
            Array(([state.sum] + state.latest).map(String.init).joined(separator: " ").utf8)
        } decode: { bytes in
            let numbers = String(decoding: bytes, as: UTF8.self).split(separator: " ")
                .compactMap { Int($0) }
            guard numbers.count == 9 else { return nil }
            return Totals(sum: numbers[0], latest: Array(numbers[1...]))
        }
    }

    struct NotANumber: Error {}
}

extension Topic {
    fileprivate func totals(
        _ snapshots: FoldSnapshots<Totals>? = Totals.snapshots()
    ) async throws -> Fold<Totals> {
        try await fold(into: Totals(), snapshots: snapshots) { try $0.apply($1) }
    }
}

private func record(_ key: UInt8, _ value: Int) -> Record {
    Record(key: [key], value: Array("\(value)".utf8))
}

@Suite(.timeLimit(.minutes(10))) struct FoldTests {
    private let snapshotPath = try! StoragePath.root.appending("views").appending("totals")
        .appending("snapshot")

    @Test func aWriterReadsItsWrites() async throws {
        let database = try await Database.open(on: SimulatedStorage(seed: 1))
        let topic = try await database.topic("counts", .init(partitions: 3))
        let fold = try await topic.totals(nil)
        #expect(try await fold.value() == Totals())
        var sum = 0
        for number in 0..<30 {
            let receipt = try await topic.append([record(UInt8(number), number)])
            sum += number
            let state = try await fold.value(atLeast: receipt)
            #expect(state.sum == sum)
            #expect(state.latest[number % 8] == number)
        }
        #expect(await fold.offsets == topic.partitions.map(\.endOffset))
        // One that is not there yet is waited for.
        let next = RecordPosition(partition: 0, offset: topic[0].endOffset)
        let waiting = Task { try await fold.value(atLeast: next).sum }
        _ = try await topic[0].append([record(0, 1000)])
        #expect(try await waiting.value == sum + 1000)
        await expectDatabaseError(.offsetOutOfRange) {
            _ = try await fold.value(atLeast: RecordPosition(partition: 3, offset: 0))
        }
        let never = Task {
            try await fold.value(atLeast: RecordPosition(partition: 1, offset: 1 << 40))
        }
        never.cancel()
        await expectDatabaseError(.cancelled) { _ = try await never.value }
        try await database.close()
    }

    @Test func aFollowerIsWarmAndEndsWithTheDatabase() async throws {
        let database = try await Database.open(on: SimulatedStorage(seed: 1))
        let topic = try await database.topic("counts", .init(partitions: 2))
        let fold = try await topic.totals(nil)
        let follower = Task { try await fold.follow() }
        for number in 0..<10 { _ = try await topic.append([record(UInt8(number), 1)]) }
        try await eventually("all is folded") {
            await fold.offsets == topic.partitions.map(\.endOffset)
        }
        try await database.close()
        try await follower.value
    }

    /// Whoever waits for what is far away looks once, and is woken by that and by the end only.
    @Test func whoWaitsForARecordSleeps() async throws {
        let database = try await Database.open(on: SimulatedStorage(seed: 1))
        let topic = try await database.topic("counts")
        let log = try #require(topic[0].log as? PartitionLog<SimulatedStorage>)
        let fold = try await topic.totals(nil)
        let third = Task {
            try await fold.value(atLeast: RecordPosition(partition: 0, offset: 2)).sum
        }
        let never = Task {
            try await fold.value(atLeast: RecordPosition(partition: 0, offset: 1 << 40))
        }
        let cancelled = Task {
            try await fold.value(atLeast: RecordPosition(partition: 0, offset: 1 << 40))
        }
        try await eventually("all sleep") { log.state.followerCount == 3 }
        for _ in 0..<2 { _ = try await topic.append([record(0, 1)]) }
        #expect(log.state.followerCount == 3)
        _ = try await topic.append([record(0, 1)])
        #expect(try await third.value == 3)
        cancelled.cancel()
        await expectDatabaseError(.cancelled) { _ = try await cancelled.value }
        #expect(log.state.followerCount == 1)
        #expect(log.state.waitCount == 3)
        try await database.close()
        await expectDatabaseError(.closed) { _ = try await never.value }
    }

    @Test func whatWillNeverBeWrittenIsNotWaitedFor() async throws {
        let storage = SimulatedStorage(seed: 1)
        let database = try await Database.open(on: storage)
        let topic = try await database.topic("counts")
        let fold = try await topic.totals(nil)
        storage.holdCompletions(of: [.write])
        let first = try await topic.append([record(0, 1)], acknowledge: .memory)
        let waiting = Task { try await fold.value(atLeast: first).sum }
        await storage.waitForHeld()
        storage.completeHeld(1)
        #expect(try await waiting.value == 1)
        _ = try await topic.append([record(0, 1)], acknowledge: .memory)
        await storage.waitForHeld()
        let lost = try await topic.append([record(0, 1)], acknowledge: .memory)
        let never = Task { try await fold.value(atLeast: lost) }
        storage.inject(Fault(.inputOutput, at: 1, isPersistent: true))
        storage.releaseCompletions()
        await expectDatabaseError(.log, "poisoned") { _ = try await never.value }
        // Asked again, the same.
        await expectDatabaseError(.log, "poisoned") { _ = try await fold.value(atLeast: lost) }
        storage.clearFaults()
        try? await database.close()
        await expectDatabaseError(.closed) { _ = try await fold.value(atLeast: lost) }
    }

    /// A follower that folded up to the end, and a log that is cut and as long again before it waits.
    @Test func aFollowerSeesATruncationThatLeavesNoGap() async throws {
        let database = try await Database.open(on: SimulatedStorage(seed: 1))
        let topic = try await database.topic("counts")
        let log = try #require(topic[0].log as? PartitionLog<SimulatedStorage>)
        for number in 0..<10 { _ = try await topic.append([record(0, number)]) }
        let fold = try await topic.totals(nil)
        #expect(try await fold.value().sum == 45)
        let follower = Task { try await fold.follow() }
        try await eventually("it sleeps") { log.state.followerCount == 1 }
        try await log.truncate(to: 9)
        _ = try await topic.append([record(0, 1000)])
        try await eventually("it has followed") {
            let (offsets, notes) = (await fold.offsets, await fold.notes)
            return offsets == [10] && notes.count == 1 && log.state.followerCount == 1
        }
        #expect(log.state.waitCount <= 3)
        try await database.close()
        try await follower.value
    }

    /// Lives that end in power cuts, with records that may be lost and others in their place: the
    /// state is always that of a fold from scratch.
    @Test func theStateIsThatOfAFoldFromScratch() async throws {
        var resumed = 0
        for seed in UInt64(0)..<60 {
            var random = SeededGenerator(seed: seed)
            let storage = SimulatedStorage(seed: seed)
            for life in 0..<5 {
                let context: Comment = "seed \(seed), life \(life)"
                let database = try await Database.open(on: storage)
                let topic = try await database.topic("counts", .init(partitions: 2))
                let fold = try await topic.totals(Totals.snapshots(every: 7))
                if await fold.offsets.contains(where: { $0 > 0 }) { resumed += 1 }
                let scratch = try await topic.totals(nil)
                #expect(try await fold.value() == scratch.value(), context)
                for _ in 0..<Int.random(in: 0...12, using: &random) {
                    let records = (0..<Int.random(in: 1...6, using: &random)).map { _ in
                        record(
                            UInt8.random(in: 0...7, using: &random),
                            Int.random(in: 0...1000, using: &random))
                    }
                    let level = Acknowledgement.allCases.randomElement(using: &random)!
                    let receipt = try await topic.append(records, acknowledge: level)
                    if Bool.random(using: &random) {
                        let state = try await fold.value(atLeast: receipt)
                        #expect(try await state == scratch.value(), context)
                    }
                }
                if Int.random(in: 0..<4, using: &random) == 0 {
                    _ = try await fold.value()
                    storage.inject(
                        Fault(
                            .inputOutput, at: Int.random(in: 1...6, using: &random),
                            isPersistent: true))
                    try? await fold.takeSnapshot()
                    storage.clearFaults()
                }
                if Bool.random(using: &random) { try? await database.close() }
                storage.crash(
                    [Crash.bySeed, .dropUnsynced, .keepAll].randomElement(using: &random)!)
            }
        }
        #expect(resumed > 50)
    }

    /// A snapshot is never ahead of what its log is certain to keep.
    @Test func recordsThatCanBeLostAreNotInASnapshot() async throws {
        let storage = SimulatedStorage(seed: 1)
        var database = try await Database.open(on: storage)
        var topic = try await database.topic("counts")
        var fold = try await topic.totals(Totals.snapshots(every: 1))
        let lost = try await topic.append([record(0, 5)], acknowledge: .written)
        #expect(try await fold.value(atLeast: lost).sum == 5)
        #expect(storage.contents(of: snapshotPath) == nil)
        storage.crash(.dropUnsynced)
        database = try await Database.open(on: storage)
        topic = try await database.topic("counts")
        fold = try await topic.totals(Totals.snapshots(every: 1))
        let kept = try await topic.append([record(0, 7)])
        #expect(try await fold.value(atLeast: kept).sum == 7)
        #expect(storage.durableContents(of: snapshotPath) != nil)
        try await database.close()
    }

    /// Whoever asks for a snapshot gets one, of records that were not durable, too.
    @Test func aSnapshotThatIsAskedForIsWritten() async throws {
        let storage = SimulatedStorage(seed: 1)
        let database = try await Database.open(on: storage)
        let topic = try await database.topic("counts", .init(partitions: 2))
        let fold = try await topic.totals(Totals.snapshots(every: 100))
        for partition in topic.partitions {
            _ = try await partition.append([record(0, 1)], acknowledge: .written)
        }
        try await fold.takeSnapshot()
        #expect(storage.durableContents(of: snapshotPath) != nil)
        #expect(topic.partitions.map(\.durableOffset) == [1, 1])
        // Where that fails it says so.
        _ = try await topic[0].append([record(0, 1)], acknowledge: .written)
        storage.inject(Fault(.inputOutput, at: 1, of: .sync, isPersistent: true))
        try await fold.takeSnapshot()
        #expect(await fold.notes.count == 1)
        storage.crash(.dropUnsynced)
    }

    @Test func aDamagedSnapshotIsNotUsed() async throws {
        let storage = SimulatedStorage(seed: 1)
        var database = try await Database.open(on: storage)
        var topic = try await database.topic("counts")
        var fold: Fold<Totals>? = try await topic.totals(Totals.snapshots(every: 100))
        _ = try await topic.append((0..<20).map { record(UInt8($0), $0) })
        try await fold?.takeSnapshot()
        await expectDatabaseError(.viewInUse, "totals") { _ = try await topic.totals() }
        fold = nil
        try await database.close()
        let count = try #require(storage.contents(of: snapshotPath)).count
        for byte in stride(from: 0, to: count, by: 11) {
            let mask = UInt8(1 << (byte % 8))
            try storage.flip(snapshotPath, byte: byte, mask: mask)
            database = try await Database.open(on: storage)
            topic = try await database.topic("counts")
            fold = try await topic.totals(Totals.snapshots(every: 100))
            #expect(await fold!.offsets == [0], "byte \(byte)")
            #expect(await fold!.notes.count == 1, "byte \(byte)")
            #expect(try await fold!.value().sum == 190, "byte \(byte)")
            fold = nil
            try await database.close()
            try storage.flip(snapshotPath, byte: byte, mask: mask)
        }
        // Whole again, it is used, but not by another version.
        database = try await Database.open(on: storage)
        topic = try await database.topic("counts")
        fold = try await topic.totals()
        #expect(await fold!.offsets == [20])
        fold = nil
        let newer = try await topic.totals(Totals.snapshots(version: 2))
        #expect(await newer.offsets == [0])
        #expect(await newer.notes[0].contains("expected state version 2, found 1"))
        await expectDatabaseError(.invalidName) {
            _ = try await topic.totals(Totals.snapshots(name: "../x"))
        }
        await expectDatabaseError(.invalidConfiguration, "everyRecords") {
            _ = try await topic.totals(Totals.snapshots(every: 0))
        }
        try await database.close()
    }

    /// Cut and as long again under one leader epoch, between two lives and in one.
    @Test func aSnapshotOfAnotherHistoryIsNotUsed() async throws {
        for reopens in [true, false] {
            let context: Comment = "reopens: \(reopens)"
            let storage = SimulatedStorage(seed: 1)
            var database = try await Database.open(on: storage)
            var topic = try await database.topic("counts", .init(partitions: 2))
            var fold: Fold<Totals>? = try await topic.totals(Totals.snapshots(every: 100))
            for number in 0..<8 { _ = try await topic[1].append([record(0, number)]) }
            try await fold?.takeSnapshot()
            try await topic[1].log.truncate(to: 5)
            for _ in 0..<5 { _ = try await topic[1].append([record(0, 1000)]) }
            if reopens {
                fold = nil
                try await database.close()
                database = try await Database.open(on: storage)
                topic = try await database.topic(named: "counts")
                fold = try await topic.totals(Totals.snapshots(every: 100))
            } else {
                // The truncation is known when the function throws, and the fold begins anew.
                #expect(try await fold?.value().sum == 5010, context)
                _ = try await topic[1].append([Record("no number", key: "k")])
                await expectDatabaseError(.foldFailed) { _ = try await fold?.value() }
                try await topic[1].log.truncate(to: 10)
            }
            #expect(try await fold?.value().sum == 5010, context)
            #expect(await fold?.notes.contains { $0.contains("another history") } ?? false, context)
            // What is written now is of this history.
            try await fold?.takeSnapshot()
            fold = nil
            try await database.close()
            database = try await Database.open(on: storage)
            topic = try await database.topic(named: "counts")
            fold = try await topic.totals(Totals.snapshots(every: 100))
            #expect(await fold?.offsets == [0, 10], context)
            fold = nil
            try await database.close()
        }
    }

    /// What retention or compaction took says nothing against a snapshot.
    @Test func aSnapshotOutlivesItsRecords() async throws {
        let storage = SimulatedStorage(seed: 1)
        var database = try await Database.open(on: storage)
        var topic = try await database.topic("counts")
        for number in 0..<8 { _ = try await topic.append([record(0, number)]) }
        try await topic.totals().takeSnapshot()
        try await topic[0].log.deleteRecords(before: 8)
        try await database.close()
        database = try await Database.open(on: storage)
        topic = try await database.topic(named: "counts")
        let fold = try await topic.totals()
        #expect(await fold.offsets == [8])
        #expect(try await fold.value().sum == 28)
        try await database.close()
    }

    @Test func snapshotsOfAnotherTopicAreRefused() async throws {
        let database = try await Database.open(on: SimulatedStorage(seed: 1))
        let topic = try await database.topic("counts")
        _ = try await topic.append([record(0, 1)])
        try await topic.totals().takeSnapshot()
        let other = try await database.topic("other")
        await expectDatabaseError(.configurationMismatch, "of topic counts, not other") {
            _ = try await other.totals()
        }
        try await database.close()
    }

    @Test func afterAnErrorTheRecordIsFoldedAgain() async throws {
        let database = try await Database.open(on: SimulatedStorage(seed: 1))
        let topic = try await database.topic("counts")
        let fold = try await topic.totals()
        _ = try await topic.append((0..<8).map { record(UInt8($0), $0) })
        try await fold.takeSnapshot()
        _ = try await topic.append([record(0, 100), Record("no number", key: "k")])
        for _ in 0..<2 {
            await expectDatabaseError(.foldFailed, "counts[0], offset 9: NotANumber") {
                _ = try await fold.value()
            }
        }
        // Without the record, the same as from scratch.
        try await topic[0].log.truncate(to: 8)
        #expect(try await fold.value().sum == 28)
        try await database.close()
    }

    @Test func truncationAndRetentionAreNoticed() async throws {
        let database = try await Database.open(on: SimulatedStorage(seed: 1))
        let topic = try await database.topic("counts")
        let fold = try await topic.totals()
        for number in 0..<10 { _ = try await topic.append([record(0, number)]) }
        #expect(try await fold.value().sum == 45)
        try await topic[0].log.truncate(to: 5)
        _ = try await topic.append([record(0, 1000)])
        #expect(try await fold.value().sum == 1010)
        #expect(await fold.notes.contains { $0.contains("truncated") })
        for _ in 0..<3 { _ = try await topic.append([record(0, 1)]) }
        try await topic[0].log.deleteRecords(before: 8)
        await expectDatabaseError(.offsetOutOfRange, "rebuild()") { _ = try await fold.value() }
        #expect(try await fold.rebuild().sum == 1)
        try await database.close()
    }
}

@Suite struct FoldSnapshotTests {
    @Test func whatIsCutOrLongerIsUnusable() throws {
        let snapshot = FoldSnapshot(
            stateVersion: 3, topic: "orders",
            positions: [
                .init(offset: 7, leaderEpoch: 0, checksum: 0),
                .init(offset: 0, leaderEpoch: 2, checksum: nil),
            ], state: [1, 2, 3])
        let block = try #require(snapshot.encode())
        let array = withExtendedLifetime(block) { Array(block.unsafeBytes) }
        #expect(try FoldSnapshot(block) == snapshot)
        for count in 0..<array.count {
            #expect(throws: FoldSnapshot.Unusable.self) {
                _ = try FoldSnapshot(MemoryBlock(copying: Array(array[..<count])))
            }
        }
        #expect(throws: FoldSnapshot.Unusable.self) {
            _ = try FoldSnapshot(MemoryBlock(copying: array + [0]))
        }
        for bit in 0..<array.count * 8 {
            var flipped = array
            flipped[bit / 8] ^= 1 << (bit % 8)
            #expect(throws: FoldSnapshot.Unusable.self, "bit \(bit)") {
                _ = try FoldSnapshot(MemoryBlock(copying: flipped))
            }
        }
    }
}

@Suite struct FoldSnapshotVersionTests {
    /// Written before positions had checksums.
    @Test func versionOneIsRead() throws {
        var writer = ByteWriter(count: 60)
        writer.bytes(Array("CWVIEWSN".utf8))
        writer.littleEndian(UInt32(1))
        writer.littleEndian(UInt32(3))
        writer.littleEndian(UInt16(6))
        writer.bytes(Array("orders".utf8))
        writer.littleEndian(UInt32(1))
        writer.littleEndian(Int64(7))
        writer.littleEndian(Int32(2))
        writer.littleEndian(UInt64(8))
        writer.bytes([1, 2, 3, 4, 5, 6, 7, 8])
        writer.littleEndian(
            crc32c(UnsafeRawBufferPointer(rebasing: writer.block.unsafeBytes[..<writer.position])))
        let snapshot = try FoldSnapshot(writer.finish())
        #expect(
            snapshot
                == FoldSnapshot(
                    stateVersion: 3, topic: "orders", positions: [.init(offset: 7, leaderEpoch: 2)],
                    state: [1, 2, 3, 4, 5, 6, 7, 8]))
    }

    @Test func recordsOfOtherContentHaveOtherChecksums() {
        func checksum(_ key: [UInt8]?, _ value: [UInt8]?, _ time: Int64 = 0) -> UInt32 {
            StoredRecord(offset: 1, timestamp: time, key: key, value: value, headers: []).checksum
        }
        let all = [
            checksum(nil, nil), checksum([], nil), checksum(nil, []), checksum([1], [2]),
            checksum([1, 2], []), checksum([], [1, 2]), checksum([1], [2], 1),
        ]
        #expect(Set(all).count == all.count)
    }
}

@Suite struct ChangeSequenceTests {
    @Test func changesKnowWhatWasThere() async throws {
        let database = try await Database.open(on: SimulatedStorage(seed: 1))
        let topic = try await database.topic("people")
        _ = try await topic[0].append([
            Record("oak", key: "a"), Record("no key"), Record("birch", key: "b"),
            Record("elm", key: "a"), Record(key: Array("b".utf8), value: nil),
            Record("ash", key: "b"),
        ])
        func changes(from offset: Int64) async throws -> [String] {
            func text(_ bytes: [UInt8]?) -> String {
                bytes.map { String(decoding: $0, as: UTF8.self) } ?? "-"
            }
            var found: [String] = []
            for try await change in topic[0].changes(from: offset, following: false) {
                found.append(
                    "\(change.offset) \(text(change.key)) \(text(change.oldValue)) "
                        + text(change.newValue))
            }
            return found
        }
        let all = ["0 a - oak", "2 b - birch", "3 a oak elm", "4 b birch -", "5 b - ash"]
        #expect(try await changes(from: 0) == all)
        #expect(try await changes(from: 3) == Array(all[2...]))
        try await database.close()
    }
}
