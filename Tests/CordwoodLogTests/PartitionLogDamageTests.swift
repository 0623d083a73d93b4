import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodLog

/// Damage on disk: nothing wrong is served, nothing durable is cut, and everything else can be
/// read.
@Suite(.timeLimit(.minutes(30))) struct PartitionLogDamageTests {
    /// A closed log of several segments with what was appended.
    private func sample(
        appends: Int = 14, close: Bool = true
    ) async throws -> (storage: SimulatedStorage, records: [StoredRecord]) {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage, .smallWithoutTail)
        for number in 0..<appends {
            _ = try await log.append(
                (0...number % 2).map { index in
                    Record(
                        key: [UInt8(number)],
                        value: [UInt8](repeating: UInt8(index), count: 90 + number * 17 % 100))
                })
        }
        let records = try await log.all()
        #expect(log.segmentCount > 1)
        if close { try await log.close() } else { storage.crash(.dropUnsynced) }
        return (storage, records)
    }

    private func paths(_ storage: SimulatedStorage, _ suffix: String) -> [StoragePath] {
        storage.files.filter { $0.description.hasSuffix(suffix) }
    }

    /// Every byte of every file of a small log, the log having been closed or cut off.
    @Test(arguments: [true, false]) func everyFlippedByteIsNoticedOrHarmless(
        wasClosed: Bool
    ) async throws {
        let (original, records) = try await sample(close: wasClosed)
        let snapshot = original.files.map { ($0, original.contents(of: $0) ?? []) }
        let byteCount = snapshot.reduce(0) { $0 + $1.1.count }
        // Some of the bytes, others with each seed factor; `CORDWOOD_SEEDS` = 31 takes all.
        let taken = seeds(1)
        let active = try #require(paths(original, ".log").last)
        let lastGroup = try #require(original.contents(of: active)).count - 500
        var global = 0
        for (path, contents) in snapshot {
            for byte in contents.indices {
                global += 1
                let isManifest = path.description.hasSuffix("manifest")
                guard isManifest || taken.contains(UInt64(global % 31)) else { continue }
                let (storage, _) = try await restore(snapshot)
                try storage.flip(path, byte: byte, mask: 0x20)
                let context = "\(path), byte \(byte) of \(contents.count)"
                do {
                    let log = try await openLog(on: storage, .smallWithoutTail)
                    if !wasClosed, log.recovery.cutBytes > 0, !isManifest {
                        // The last group of a log that was not closed, with nothing behind it to
                        // prove that it was synced: it looks like a torn one, and is reported.
                        #expect(byte >= lastGroup && path == active, "\(context); \(log.recovery)")
                        #expect(try await log.all() == Array(records[..<Int(log.endOffset)]))
                        continue
                    }
                    #expect(log.endOffset == Int64(records.count), "\(context); \(log.recovery)")
                    let found = try await log.allReadable()
                    #expect(found.allSatisfy { records[Int($0.offset)] == $0 }, "\(context)")
                    // At most the one batch that was hit is gone.
                    let gone = Set(records.map(\.offset)).subtracting(found.map(\.offset))
                    #expect(gone.count <= 2, "\(context): \(gone)")
                    if path.description.hasSuffix(".index") {
                        #expect(gone.isEmpty, "\(context)")
                    }
                    let report = try await log.verify()
                    let told = Set(report.damage.flatMap { Array($0.offsets) })
                    #expect(gone.isSubset(of: told), "\(context): \(report.damage)")
                    // Appending goes on behind all that.
                    let next = try await log.append([Record("next")])
                    #expect(next.lowerBound == Int64(records.count))
                    try await log.close()
                } catch let error as LogError {
                    // The manifest alone may stop a log from opening; then nothing was changed.
                    #expect(path.description.hasSuffix("manifest"), "\(context): \(error)")
                    #expect(storage.contents(of: path)?.count == contents.count)
                }
            }
        }
        #expect(byteCount > 10_000)
    }

    /// Every file of a small log, cut to many lengths: what is served is right, and nothing is missing
    /// without a word.
    @Test(arguments: [true, false]) func aFileThatIsCutIsNoticedOrHarmless(
        wasClosed: Bool
    ) async throws {
        let (original, records) = try await sample(close: wasClosed)
        let snapshot = original.files.map { ($0, original.contents(of: $0) ?? []) }
        for (path, contents) in snapshot {
            let steps = stride(from: 0, to: contents.count, by: max(1, contents.count / 60))
            for length in Set(steps).union([63, 64, 365, 512, 600, 1024, 1100, 4095, 4096])
            where length < contents.count {
                let (storage, _) = try await restore(snapshot)
                try storage.cut(path, to: length)
                let context = "\(path), \(contents.count) bytes cut to \(length)"
                do {
                    let log = try await openLog(on: storage, .smallWithoutTail)
                    let found = try await log.allReadable()
                    #expect(found.allSatisfy { records[Int($0.offset)] == $0 }, "\(context)")
                    // Opening looks at the active segment alone; reading and verifying at the others.
                    let told = try await Set(log.verify().damage.flatMap { Array($0.offsets) })
                    let gone = Set(records.map(\.offset)).subtracting(found.map(\.offset))
                    let isTold =
                        !log.recovery.quarantined.isEmpty || !log.recovery.notes.isEmpty
                        || log.recovery.cutBytes > 0
                    #expect(
                        isTold || gone.isSubset(of: told),
                        "\(context): \(gone.count) of \(records.count) records are gone")
                    try await log.close()
                } catch let error as LogError {
                    #expect(
                        [.damaged, .inconsistent, .unsupportedFormat].contains(error.code),
                        "\(context): \(error)")
                }
            }
        }
    }

    private func restore(
        _ files: [(StoragePath, [UInt8])]
    ) async throws -> (SimulatedStorage, Void) {
        let storage = SimulatedStorage(seed: 1)
        try await storage.createDirectory(logPath())
        try await storage.syncDirectory(.root)
        for (path, contents) in files {
            let file = try await storage.open(path, .create)
            try await file.write(
                [FileWrite(at: 0, [MemorySlice(MemoryBlock(copying: contents))])], thenSync: true)
        }
        try await storage.syncDirectory(logPath())
        return (storage, ())
    }

    enum IndexDamage: CaseIterable { case missing, cut, empty, zeroed, flipped, longer }

    @Test(arguments: IndexDamage.allCases) func anIndexIsRebuiltToEqualBytes(
        damage: IndexDamage
    ) async throws {
        let (storage, records) = try await sample()
        let index = paths(storage, ".index")[0]
        let good = try #require(storage.contents(of: index))
        switch damage {
        case .missing:
            try await storage.remove(index)
            try await storage.syncDirectory(logPath())
        case .cut: try storage.cut(index, to: 100)
        case .empty: try storage.cut(index, to: 0)
        case .zeroed: try storage.zero(index, 0..<good.count)
        case .flipped: try storage.flip(index, byte: 50)
        case .longer:
            let file = try await storage.open(index, .readWrite)
            try await file.write(
                [FileWrite(at: good.count, [MemorySlice(MemoryBlock(copying: good))])],
                thenSync: true)
        }
        let log = try await openLog(on: storage, .smallWithoutTail)
        #expect(try await log.all() == records)
        #expect(storage.contents(of: index) == good)
        try await log.close()
        storage.crash(.dropUnsynced)
        #expect(storage.contents(of: index) == good)
    }

    /// Neither a full disk nor a bad sector under an index keeps anyone from reading.
    @Test func recordsAreReadableWhenTheIndexCannotBeWrittenOrRead() async throws {
        let (storage, records) = try await sample()
        let index = paths(storage, ".index")[0]
        let good = storage.contents(of: index)
        try storage.flip(index, byte: 50)
        let log = try await openLog(on: storage, .smallWithoutTail)
        storage.inject(Fault(.noSpace, at: 1, of: .write, isPersistent: true))
        #expect(try await log.all() == records)
        let told = try await log.verify().damage
        #expect(told.contains { $0.problem.contains("in memory only") }, "\(told)")
        storage.clearFaults()
        #expect(try await log.verify().isSound == false)
        #expect(storage.contents(of: index) == good, "written once there was room")
        try await log.close()
        let again = try await openLog(on: storage, .smallWithoutTail)
        storage.inject(Fault(.inputOutput, at: 1, of: .read))
        #expect(try await again.all() == records)
    }

    /// An index of the active segment that was lost while the log was closed.
    @Test func theActiveSegmentsIndexIsMadeWholeAgain() async throws {
        var configuration = LogConfiguration.smallWithoutTail
        configuration.indexIntervalBytes = 64
        configuration.segmentBytes = 1 << 20
        func run(losingTheIndex: Bool) async throws -> [UInt8]? {
            let storage = SimulatedStorage(seed: 1)
            let log = try await openLog(on: storage, configuration)
            for number in 0..<800 {
                _ = try await log.append([Record("\(number)")], acknowledge: .written)
            }
            try await log.close()
            if losingTheIndex { try await storage.remove(paths(storage, ".index")[0]) }
            let again = try await openLog(on: storage, configuration)
            for number in 0..<10 { _ = try await again.append([Record("\(number)")]) }
            #expect(try await again.all().count == 810)
            try await again.close()
            return storage.contents(of: paths(storage, ".index")[0])
        }
        let whole = try await run(losingTheIndex: false)
        #expect(try #require(whole).count == 3 * IndexPage.byteCount)
        #expect(try await run(losingTheIndex: true) == whole)
    }

    /// Pages that an earlier life wrote, cut away by recovery, are never taken for this life's.
    @Test func indexPagesOfAnEarlierLifeAreNotTrusted() async throws {
        var configuration = LogConfiguration.smallWithoutTail
        configuration.indexIntervalBytes = 64
        configuration.segmentBytes = 1 << 20
        configuration.maxMessageBytes = 100_000
        for seed in seeds(5) {
            var random = SplitMix64(seed: seed)
            let storage = SimulatedStorage(seed: seed)
            var oracle = Oracle()
            for life in 0..<3 {
                let log = try await openLog(on: storage, configuration)
                try await oracle.check(log, "seed \(seed), life \(life)")
                // Many batches, so that pages fill; the tail of them is lost.
                for _ in 0..<500 + random.below(400) {
                    let records = oracle.newRecords(1, &random)
                    oracle.willSend(records)
                    let acknowledge: Acknowledgement = random.below(100) == 0 ? .durable : .written
                    oracle.acknowledged(
                        try await log.append(records, acknowledge: acknowledge), acknowledge)
                }
                storage.crash(.bySeed)
            }
        }
    }

    /// Nor do they stay on disk, where a page of this life that a crash loses would uncover them.
    @Test func indexPagesOfAnEarlierLifeAreCut() async throws {
        var configuration = LogConfiguration.smallWithoutTail
        configuration.indexIntervalBytes = 64
        configuration.segmentBytes = 1 << 20
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage, configuration)
        for number in 0..<500 { _ = try await log.append([Record("\(number)")]) }
        storage.crash(.keepAll)
        let index = try #require(paths(storage, ".index").first)
        let header = SegmentHeader(logID: testLogID, baseOffset: 0)
        // Page 0 is the log's own. Page 1 is of an earlier life: it goes on behind the log's end.
        let entries = (0..<OffsetIndex.Entry.pageCapacity).map { number in
            OffsetIndex.Entry(
                relativeOffset: 5000 + UInt32(number), position: 900_000 + 64 * UInt32(number),
                chain: 7)
        }
        let file = try await storage.open(index, .readWrite)
        #expect(try await file.size() == IndexPage.byteCount)
        let page = MemorySlice(IndexPage.encode(entries[...], number: 1, header: header))
        try await file.write([FileWrite(at: IndexPage.byteCount, [page])], thenSync: true)
        let again = try await openLog(on: storage, configuration)
        #expect(storage.durableContents(of: index)?.count == IndexPage.byteCount)
        #expect(try await again.all().count == 500)
        try await again.close()
        #expect(try await openLog(on: storage, configuration).verify().isSound)
    }

    @Test func swappedSegmentsAreRefused() async throws {
        let (storage, records) = try await sample(appends: 40)
        let logs = paths(storage, ".log")
        let one = try #require(storage.contents(of: logs[0]))
        let two = try #require(storage.contents(of: logs[1]))
        let active = try #require(storage.contents(of: logs[logs.count - 1]))
        try await overwrite(storage, logs[0], two)
        try await overwrite(storage, logs[1], one)
        let log = try await openLog(on: storage, .smallWithoutTail)
        let error = await expectLogError(.inconsistent) { _ = try await log.read(from: 0) }
        #expect(error?.resumeOffset != nil)
        #expect(try await log.verify().damage.count == 2)
        #expect(try await log.all(from: records.last?.offset).count == 1)
        try await log.close()
        // The active segment is looked at when the log is opened.
        try await overwrite(storage, logs[logs.count - 1], one)
        await expectLogError(.inconsistent) {
            _ = try await openLog(on: storage, .smallWithoutTail)
        }
        try await overwrite(storage, logs[logs.count - 1], active)
        try await openLog(on: storage, .smallWithoutTail).close()
    }

    private func overwrite(
        _ storage: SimulatedStorage, _ path: StoragePath, _ contents: [UInt8]
    ) async throws {
        let file = try await storage.open(path, .readWrite)
        try await file.truncate(to: 0)
        try await file.write(
            [FileWrite(at: 0, [MemorySlice(MemoryBlock(copying: contents))])], thenSync: true)
    }

    @Test func aSegmentOfAnotherLogIsRefused() async throws {
        let (storage, _) = try await sample(appends: 40)
        let other = SimulatedStorage(seed: 2)
        let otherLog = try await openLog(on: other, .smallWithoutTail, newLogID: 5)
        for number in 0..<14 { _ = try await otherLog.append([Record("\(number)")]) }
        try await otherLog.close()
        let logs = paths(storage, ".log")
        let foreign = try #require(other.contents(of: paths(other, ".log")[0]))
        try await overwrite(storage, logs[0], foreign)
        let log = try await openLog(on: storage, .smallWithoutTail)
        await #expect(throws: LogError.self) { _ = try await log.read(from: 0) }
        #expect(try await log.verify().isSound == false)
        try await log.close()
        try await overwrite(storage, logs[logs.count - 1], foreign)
        await expectLogError(.inconsistent) {
            _ = try await openLog(on: storage, .smallWithoutTail)
        }
    }

    @Test func aMissingSegmentIsNamedAndTheOthersAreReadable() async throws {
        let (storage, records) = try await sample(appends: 40)
        let logs = paths(storage, ".log")
        try await storage.remove(logs[0])
        let log = try await openLog(on: storage, .smallWithoutTail)
        let error = await expectLogError(.damaged) { _ = try await log.read(from: 0) }
        let resume = try #require(error?.resumeOffset)
        #expect(error?.description.contains(logs[0].description) == true)
        #expect(try await log.allReadable() == records.filter { $0.offset >= resume })
        try await log.close()
        let before = storage.files.map { storage.contents(of: $0) }
        try await storage.remove(logs[logs.count - 1])
        let refusal = await expectLogError(.inconsistent) {
            _ = try await openLog(on: storage, .smallWithoutTail)
        }
        #expect(refusal?.message.contains(logs[logs.count - 1].description) == true)
        #expect(storage.files.count == before.count - 1)
    }

    @Test func aShortSealedSegmentIsDamageAndAFailingDiskIsNot() async throws {
        let (storage, records) = try await sample(appends: 40)
        let logs = paths(storage, ".log")
        let log = try await openLog(on: storage, .smallWithoutTail)
        storage.inject(Fault(.inputOutput, at: 1, of: .open))
        let failure = await expectLogError(.storage) { _ = try await log.read(from: 0) }
        #expect(failure?.cause?.code == .failed)
        storage.inject(Fault(.inputOutput, at: 1, of: .map))
        await expectLogError(.storage) { _ = try await log.read(from: 0) }
        storage.inject(Fault(.inputOutput, at: 1, of: .open))
        await expectLogError(.storage) { _ = try await log.verify() }
        #expect(try await log.all() == records, "the failure passed")
        try await log.close()
        try storage.cut(logs[0], to: 5000)
        let again = try await openLog(on: storage, .smallWithoutTail)
        let error = await expectLogError(.damaged) { _ = try await again.read(from: 0) }
        let resume = try #require(error?.resumeOffset)
        #expect(try await again.allReadable() == records.filter { $0.offset >= resume })
    }

    @Test func anUnlistedSegmentWithRecordsStopsTheLog() async throws {
        let (storage, _) = try await sample(appends: 40)
        let contents = try #require(storage.contents(of: paths(storage, ".log")[0]))
        let unlisted = SegmentFiles.log(SegmentID(baseOffset: 1_000_000), in: try logPath())
        _ = try await storage.open(unlisted, .create)
        try await overwrite(storage, unlisted, contents)
        let before = storage.files.map { storage.contents(of: $0) }
        let error = await expectLogError(.inconsistent) {
            _ = try await openLog(on: storage, .smallWithoutTail)
        }
        #expect(error?.message.contains("01000000.log") == true)
        #expect(storage.files.map { storage.contents(of: $0) } == before, "nothing was changed")
        // Nor is one removed whose first batch is gone.
        try storage.zero(
            unlisted, SegmentHeader.byteCount..<SegmentHeader.byteCount + BatchHeader.byteCount)
        await expectLogError(.inconsistent) {
            _ = try await openLog(on: storage, .smallWithoutTail)
        }
        // One without records is left from a roll that a crash cut short.
        try storage.cut(unlisted, to: SegmentHeader.byteCount)
        try await openLog(on: storage, .smallWithoutTail).close()
    }

    @Test func aLostManifestStopsTheLog() async throws {
        let (storage, _) = try await sample(appends: 40)
        try await storage.remove(paths(storage, "manifest")[0])
        let before = storage.files.map { storage.contents(of: $0) }
        await expectLogError(.inconsistent) {
            _ = try await openLog(on: storage, .smallWithoutTail)
        }
        #expect(storage.files.map { storage.contents(of: $0) } == before)
    }

    /// Damage below the watermark of a log that was cut off: quarantined once, known ever after.
    @Test func quarantinedDamageStaysKnown() async throws {
        let (storage, records) = try await sample(close: false)
        let active = paths(storage, ".log").last
        try storage.flip(try #require(active), byte: SegmentHeader.byteCount + 70)
        let log = try await openLog(on: storage, .smallWithoutTail)
        #expect(log.recovery.quarantined.count == 1, "\(log.recovery)")
        let gone = Set(log.recovery.quarantined.flatMap { Array($0.offsets) })
        #expect(try await log.allReadable() == records.filter { !gone.contains($0.offset) })
        let next = try await log.append([Record("more")])
        #expect(next.lowerBound == Int64(records.count))
        try await log.close()
        let again = try await openLog(on: storage, .smallWithoutTail)
        #expect(again.recovery.quarantined.isEmpty)
        let report = try await again.verify()
        #expect(Set(report.damage.flatMap { Array($0.offsets) }) == gone)
        #expect(try await again.allReadable().count == records.count - gone.count + 1)
    }

    /// The segment that recovery begins behind damage is as durable as any.
    @Test func whatIsAppendedBehindQuarantinedDamageIsDurable() async throws {
        let (storage, records) = try await sample(close: false)
        let active = try #require(paths(storage, ".log").last)
        try storage.flip(active, byte: SegmentHeader.byteCount + 70)
        let log = try await openLog(on: storage, .smallWithoutTail)
        #expect(log.recovery.quarantined.count == 1)
        _ = try await log.append([Record("behind")])
        storage.crash(.dropUnsynced)
        let again = try await openLog(on: storage, .smallWithoutTail)
        #expect(again.endOffset == Int64(records.count) + 1)
        #expect(try await again.allReadable().last?.text == "behind")
    }

    /// The manifest got the seal of a roll and not the segment behind it.
    @Test func aRollThatWasCutBetweenItsEditsIsFinished() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage, .smallWithoutTail)
        var count: Int64 = 0
        while log.segmentCount < 2 {
            _ = try await log.append([Record(value: [UInt8](repeating: 1, count: 300))])
            count += 1
        }
        storage.crash(.dropUnsynced)
        // Takes the new segment's record back, and the edit that named the segment.
        let newest = try #require(paths(storage, ".log").last)
        try storage.cut(newest, to: SegmentHeader.byteCount)
        let manifest = try #require(paths(storage, "manifest").first)
        // Behind the edits lies what is reserved for more.
        let last = try #require(storage.contents(of: manifest)).lastIndex { $0 != 0 }
        try storage.cut(manifest, to: try #require(last))
        let again = try await openLog(on: storage, .smallWithoutTail)
        #expect(again.endOffset == count - 1 && again.recovery.cutBytes > 0)
        _ = try await again.append([Record("behind")])
        storage.crash(.dropUnsynced)
        let reopened = try await openLog(on: storage, .smallWithoutTail)
        #expect(try await reopened.all().last?.text == "behind")
        #expect(reopened.endOffset == count)
    }
}
