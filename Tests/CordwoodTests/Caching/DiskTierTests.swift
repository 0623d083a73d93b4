import CordwoodCache
import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import Cordwood
@testable import CordwoodLog

@Suite(.timeLimit(.minutes(10))) struct DiskTierTests {
    private static let folder = try! StoragePath.root.appending("views").appending("tier")

    /// Memory for a few entries, and blocks of some tens.
    static func configuration(maximumBytes: Int = 64 << 10) -> CachedViewConfiguration {
        var configuration = CachedViewConfiguration(capacityBytes: 2000)
        var disk = DiskTierConfiguration(name: "tier", maximumBytes: maximumBytes)
        disk.blockBytes = TierBlock.minimumBytes
        configuration.disk = disk
        return configuration
    }

    private func open(
        _ storage: SimulatedStorage, partitions: Int = 2
    ) async throws -> (Database, Topic) {
        let database = try await Database.open(on: storage)
        let topic = try await database.topic(
            "values",
            .init(
                partitions: partitions,
                log: .init(segmentBytes: 30_000, maxMessageBytes: 8_000)))
        return (database, topic)
    }

    /// A view that has read all keys below `count` once and was closed.
    private func prepared(
        _ storage: SimulatedStorage, _ origin: Origin, count: Int
    ) async throws {
        let (database, topic) = try await open(storage)
        let view = try await topic.cachedView(Self.configuration(), from: origin.source)
        for number in 0..<count {
            origin[bytes("key \(number)")] = bytes("value \(number)")
            _ = try await view.value(for: bytes("key \(number)"))
        }
        // The hook runs beside.
        try await eventually("what memory has no room for is on the disk") {
            view.statistics.disk.admitted + view.statistics.memory.entryCount >= count
        }
        await view.close()
        try await database.close()
    }

    @Test func itSurvivesARestartAndIsHeldAgainstTheLog() async throws {
        let storage = SimulatedStorage(seed: 1)
        let origin = Origin()
        try await prepared(storage, origin, count: 200)
        #expect(origin.loads == 200)
        var (database, topic) = try await open(storage)
        // Changed while no view was looking.
        for number in stride(from: 0, to: 200, by: 10) {
            origin[bytes("key \(number)")] = bytes("new \(number)")
            _ = try await topic.append([Record(key: bytes("key \(number)"), value: nil)])
        }
        var view = try await topic.cachedView(Self.configuration(), from: origin.source)
        #expect(view.statistics.disk.entryCount == 180)
        #expect(view.statistics.disk.notes.isEmpty)
        for number in 0..<200 {
            let expected = number % 10 == 0 ? "new \(number)" : "value \(number)"
            #expect(try await view.value(for: bytes("key \(number)")).text == expected)
        }
        #expect(origin.loads == 220)
        #expect(view.statistics.disk.hits == 180)
        await view.close()
        try await database.close()
        (database, topic) = try await open(storage)
        view = try await topic.cachedView(Self.configuration(), from: origin.source)
        #expect(view.statistics.disk.entryCount == 200)
        await view.close()
        try await database.close()
    }

    /// The same on a file system, without a simulation.
    @Test func itSurvivesARestartOnAFileSystem() async throws {
        let folder = TemporaryDirectory()
        let origin = Origin()
        for round in 0..<2 {
            let database = try await Database.open(at: folder("database"))
            let topic = try await database.topic("values", .init(partitions: 2))
            let view = try await topic.cachedView(Self.configuration(), from: origin.source)
            #expect(view.statistics.disk.entryCount == round * 100)
            for number in 0..<100 as Range<UInt8> {
                origin[[number]] = bytes("value \(number)")
                #expect(try await view.value(for: [number]).text == "value \(number)")
            }
            try await eventually("what memory has no room for is on the disk") {
                let statistics = view.statistics
                return statistics.disk.entryCount + statistics.memory.entryCount >= 100
            }
            #expect(view.statistics.disk.notes.isEmpty)
            await view.close()
            try await database.close()
        }
        #expect(origin.loads == 100)
    }

    @Test func theOldestBlocksGoWhenThereAreTooManyBytes() async throws {
        let storage = SimulatedStorage(seed: 1)
        let (database, topic) = try await open(storage)
        let origin = Origin()
        let view = try await topic.cachedView(
            Self.configuration(maximumBytes: 20 << 10), from: origin.source)
        for number in 0..<600 {
            origin[bytes("key \(number)")] = bytes("value \(number)")
            _ = try await view.value(for: bytes("key \(number)"))
            let statistics = view.statistics.disk
            #expect(statistics.byteCount <= 20 << 10)
            if number % 20 == 0 { try await Task.sleep(for: .milliseconds(1)) }
        }
        await view.close()
        let statistics = view.statistics.disk
        #expect(statistics.reclaimedBlocks > 0)
        let files = storage.files.filter { $0.names.last!.hasSuffix(".block") }
        #expect(files.count == statistics.blockCount)
        #expect(files.reduce(0) { $0 + storage.contents(of: $1)!.count } == statistics.byteCount)
        try await database.close()
    }

    @Test func ofAnotherTopicVersionOrSourceNothingIsUsed() async throws {
        let storage = SimulatedStorage(seed: 1)
        let origin = Origin()
        var count = 0
        for change in 0..<3 {
            try await prepared(storage, origin, count: 50)
            let (database, topic) = try await open(storage)
            var configuration = Self.configuration()
            var (of, source) = (topic, origin.source)
            switch change {
            case 0: configuration.disk?.version = 2
            case 1: of = try await database.topic("others", .init(partitions: 2))
            default: source = .latestRecord
            }
            let view = try await of.cachedView(configuration, from: source)
            #expect(view.statistics.disk.entryCount == 0)
            #expect(view.statistics.disk.notes.count == 1, "\(view.statistics.disk.notes)")
            await expectDatabaseError(.viewInUse) {
                [configuration] in _ = try await topic.cachedView(configuration)
            }
            await view.close()
            try await database.close()
            count += 1
        }
        #expect(count == 3)
    }

    /// A log that was cut and has grown again to the same length has another history.
    @Test func ofAnotherHistoryNothingIsUsed() async throws {
        let storage = SimulatedStorage(seed: 1)
        let origin = Origin()
        var (database, topic) = try await open(storage, partitions: 1)
        var view = try await topic.cachedView(Self.configuration(), from: origin.source)
        for number in 0..<5 { _ = try await topic.append([Record("\(number)", key: "other")]) }
        origin[[1]] = bytes("1")
        _ = try await view.value(
            for: [1], atLeast: RecordPosition(partition: 0, offset: 4))
        await view.close()
        try await topic[0].log.truncate(to: 3)
        for number in 0..<2 { _ = try await topic.append([Record("again \(number)", key: "x")]) }
        try await database.close()
        (database, topic) = try await open(storage, partitions: 1)
        view = try await topic.cachedView(Self.configuration(), from: origin.source)
        #expect(view.statistics.disk.entryCount == 0)
        #expect(view.statistics.disk.notes.first?.contains("another history") == true)
        await view.close()
        try await database.close()
    }

    /// What retention or compaction has taken out may have been a change.
    @Test(arguments: [true, false])
    func ofALogWithGapsNothingIsUsed(compacts: Bool) async throws {
        let storage = SimulatedStorage(seed: 1)
        let origin = Origin()
        var log = LogConfiguration(segmentBytes: 8192, maxMessageBytes: 2048)
        log.cleanupPolicy = .compact
        var database = try await Database.open(on: storage)
        var topic = try await database.topic("values", .init(log: log))
        var view = try await topic.cachedView(Self.configuration(), from: origin.source)
        origin[[1]] = bytes("1")
        _ = try await view.value(for: [1])
        await view.close()
        for number in 0..<4 { _ = try await topic.append([Record("\(number)", key: "same")]) }
        if compacts {
            try await topic[0].compact(force: true)
        } else {
            try await topic[0].deleteRecords(before: 2)
        }
        try await database.close()
        database = try await Database.open(on: storage)
        topic = try await database.topic("values", .init(log: log))
        view = try await topic.cachedView(Self.configuration(), from: origin.source)
        #expect(view.statistics.disk.entryCount == 0)
        #expect(view.statistics.disk.notes.count == 1, "\(view.statistics.disk.notes)")
        await view.close()
        try await database.close()
    }

    /// Every byte of every file flipped in turn: what is served is right, and what is not is told.
    @Test func aFlippedByteIsNeverServed() async throws {
        let original = SimulatedStorage(seed: 1)
        let origin = Origin()
        try await prepared(original, origin, count: 30)
        let paths = original.files.filter { $0.parent == Self.folder }
        #expect(paths.count == 2)
        var told = 0
        for path in paths {
            for byte in stride(from: 0, to: original.contents(of: path)!.count, by: 37) {
                let storage = SimulatedStorage(seed: 1)
                let again = Origin()
                try await prepared(storage, again, count: 30)
                let same = try #require(
                    storage.files.first {
                        $0.parent == Self.folder && $0.names.last == path.names.last
                    })
                try storage.flip(same, byte: byte)
                let (database, topic) = try await open(storage)
                let view = try await topic.cachedView(Self.configuration(), from: again.source)
                for number in 0..<30 {
                    let found = try await view.value(for: bytes("key \(number)"))
                    #expect(found.text == "value \(number)", "\(path), byte \(byte)")
                }
                let statistics = view.statistics.disk
                if !statistics.notes.isEmpty { told += 1 }
                #expect(statistics.notes.count == 1, "\(path), byte \(byte): \(statistics.notes)")
                #expect(path.names.last == "tier" || statistics.damagedBlocks == 1)
                await view.close()
                try await database.close()
            }
        }
        #expect(told > 30)
    }

    /// A value that left memory reaches the tier later, and its key's record may have come in between.
    @Test func whatChangedOnItsWayToTheDiskIsNotTakenIn() async throws {
        let (database, topic) = try await open(SimulatedStorage(seed: 1))
        let view = try await topic.cachedView(Self.configuration(), from: Origin().source)
        let core = view.core
        let before = core.settledChange.value
        let receipt = try await topic.append([Record("", key: "key")])
        _ = try await view.value(for: bytes("another"), atLeast: receipt)
        await core.demote(bytes("key"), bytes("old"), stamp: before)
        await core.demote(bytes("same"), bytes("value"), stamp: before)
        #expect(view.statistics.disk.refusedFills == 1)
        #expect(view.statistics.disk.entryCount == 1)
        await core.demote(bytes("key"), bytes("new"), stamp: core.settledChange.value)
        #expect(view.statistics.disk.entryCount == 2)
        #expect(try await view.value(for: bytes("key")).text == "new")
        #expect(try await view.value(for: bytes("same")).text == "value")
        await view.close()
        try await database.close()
    }

    /// Of what lies too far back it is not known whether it has changed.
    @Test func aWindowOfChangesForgetsOnTheSafeSide() {
        var window = ChangeWindow()
        let early = window.begin(1)
        #expect(window.isUnchanged(1, since: early))
        #expect(window.isUnchanged(2, since: 0))
        #expect(!window.isUnchanged(1, since: early - 1))
        for hash in 0..<UInt64(ChangeWindow.maximumChanges) { _ = window.begin(hash + 10) }
        #expect(!window.isUnchanged(2, since: early))
        let last = window.beginAll()
        #expect(!window.isUnchanged(2, since: last - 1))
        #expect(window.isUnchanged(2, since: last))
    }

    /// What the tier says is durable before it is said: a power cut behind that costs nothing.
    @Test func aTierIsNeverAheadOfItsLog() async throws {
        let storage = SimulatedStorage(seed: 1)
        let origin = Origin()
        var (database, topic) = try await open(storage, partitions: 1)
        var view = try await topic.cachedView(Self.configuration(), from: origin.source)
        origin[[1]] = bytes("1")
        let receipt = try await topic.append([Record("", key: "x")], acknowledge: .written)
        _ = try await view.value(for: [1], atLeast: receipt)
        await view.close()
        #expect(topic[0].durableOffset == 1)
        storage.inject(Fault(.powerCut, at: 1, isPersistent: true))
        try? await database.close()
        storage.clearFaults()
        storage.crash(.dropUnsynced)
        (database, topic) = try await open(storage, partitions: 1)
        view = try await topic.cachedView(Self.configuration(), from: origin.source)
        #expect(view.statistics.disk.entryCount == 1, "\(view.statistics.disk.notes)")
        await view.close()
        try await database.close()
    }

    /// A log whose tail cannot be read proves nothing.
    @Test func ofALogThatIsDamagedNothingIsUsed() async throws {
        let storage = SimulatedStorage(seed: 1)
        let origin = Origin()
        var (database, topic) = try await open(storage, partitions: 1)
        var view = try await topic.cachedView(Self.configuration(), from: origin.source)
        origin[[1]] = bytes("1")
        _ = try await view.value(for: [1])
        await view.close()
        for number in 0..<3 { _ = try await topic.append([Record("\(number)", key: "x")]) }
        try await database.close()
        let log = try #require(
            storage.files.first {
                $0.names.starts(with: ["topics", "values"]) && $0.names.last!.hasSuffix(".log")
            })
        try storage.flip(log, byte: 4096 + 80)
        (database, topic) = try await open(storage, partitions: 1)
        view = try await topic.cachedView(Self.configuration(), from: origin.source)
        #expect(view.statistics.disk.entryCount == 0)
        #expect(view.statistics.disk.notes.count == 1, "\(view.statistics.disk.notes)")
        #expect(try await view.value(for: [1]).text == "1")
        await view.close()
        try await database.close()
    }

    // MARK: Bytes

    private static let entries = (0..<20).map { number in
        TierBlock.Entry(
            key: bytes("key \(number)"), value: [UInt8](repeating: 7, count: number * 5),
            partition: UInt32(number % 3), offset: Int64(number))
    }

    private static func contents(_ block: MemoryBlock) -> [UInt8] {
        withExtendedLifetime(block) { Array(block.unsafeBytes) }
    }

    private func parse(_ file: [UInt8]) throws(TierBlock.Damage) -> [TierBlock.Entry] {
        func part(_ range: Range<Int>) -> MemoryBlock {
            MemoryBlock(copying: Array(file[range.clamped(to: 0..<file.count)]))
        }
        let header = try TierBlock.header(
            part(0..<TierBlock.headerBytes), fileBytes: file.count)
        let places = try TierBlock.places(
            part(header.indexPosition..<file.count), of: header)
        let ends = places.dropFirst().map { Int($0.position) } + [header.indexPosition]
        var entries: [TierBlock.Entry] = []
        for (place, end) in zip(places, ends) {
            entries.append(try TierBlock.entry(part(Int(place.position)..<end)))
        }
        return entries
    }

    @Test func aBlockIsReadAsItWasWrittenAndNoByteOfItMayChange() throws {
        let (block, places) = TierBlock.encode(Self.entries, identity: 77, number: 5)
        let file = Self.contents(block)
        #expect(try parse(file) == Self.entries)
        #expect(places.count == Self.entries.count)
        for byte in file.indices {
            var changed = file
            changed[byte] ^= 1 << UInt8(byte % 8)
            #expect(throws: TierBlock.Damage.self, "byte \(byte)") { try parse(changed) }
        }
        for count in 0..<file.count {
            #expect(throws: TierBlock.Damage.self) { try parse(Array(file[..<count])) }
        }
    }

    @Test func aManifestIsReadAsItWasWrittenAndNoByteOfItMayChange() throws {
        let manifest = TierManifest(
            valueVersion: 3, isOfOrigin: true, identity: 9, nextBlock: 12, topic: "values",
            positions: [
                LogPosition(offset: 7, leaderEpoch: 0, checksum: 5),
                LogPosition(offset: 0, leaderEpoch: -1, checksum: nil),
            ],
            blocks: [
                .init(number: 4, entryCount: 9, live: [0xF1, 1]),
                .init(number: 11, entryCount: 0, live: []),
            ])
        let file = Self.contents(try #require(manifest.encode()))
        #expect(try TierManifest(MemoryBlock(copying: file)) == manifest)
        for byte in file.indices {
            var changed = file
            changed[byte] ^= 1 << UInt8(byte % 8)
            #expect(throws: TierBlock.Damage.self) {
                _ = try TierManifest(MemoryBlock(copying: changed))
            }
        }
        for count in 0..<file.count {
            #expect(throws: TierBlock.Damage.self) {
                _ = try TierManifest(MemoryBlock(copying: Array(file[..<count])))
            }
        }
    }

    /// Checksums that hold over bytes that lie: every number in turn is at its extremes.
    @Test func numbersThatLieAreRefusedOrHarmless() throws {
        let (block, _) = TierBlock.encode(Self.entries, identity: 77, number: 5)
        let original = Self.contents(block)
        func sealed(_ file: [UInt8], _ range: Range<Int>, at place: Int) -> [UInt8] {
            var file = file
            let checksum = file[range].withUnsafeBytes { crc32c($0) }
            withUnsafeBytes(of: checksum.littleEndian) {
                file.replaceSubrange(place..<place + 4, with: $0)
            }
            return file
        }
        let index = original.count - 4 - Self.entries.count * TierBlock.indexEntryBytes
        for value in [UInt32(0), 1, 39, 41, 1 << 31, .max - 1, .max] {
            for field in [12, 32] + [index + 8, index + 24, index + 16 * 19 + 8] {
                var file = original
                withUnsafeBytes(of: value.littleEndian) {
                    file.replaceSubrange(field..<field + 4, with: $0)
                }
                file = sealed(file, 0..<36, at: 36)
                file = sealed(file, index..<file.count - 4, at: file.count - 4)
                #expect(throws: TierBlock.Damage.self, "\(value) at \(field)") { try parse(file) }
            }
        }
    }

    /// Random changes, reads, restarts, power cuts and damage: no answer is one that the log has overtaken
    /// at an offset below what it claims.
    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func nothingOvertakenIsServed(seed: UInt64) async throws {
        var random = SplitMix64(seed: seed)
        let storage = SimulatedStorage(seed: seed)
        let origin = Origin()
        let keys = (0..<60).map { bytes("key \($0)") }
        // Of each key the offsets of its records: the n-th says that its value is n.
        var records: [[UInt8]: [Int64]] = [:]
        var (diskHits, cuts) = (0, 0)
        for _ in 0..<6 {
            let (database, topic) = try await open(storage)
            func change(_ key: [UInt8]) async throws {
                // After a cut it is not known whether the record is there: it is appended again.
                origin[key] = bytes("\((records[key]?.count ?? 0) + 1)")
                let receipt = try await topic.append([Record(key: key, value: nil)])
                records[key, default: []].append(receipt.lastOffset)
            }
            for key in keys
            where origin[key].map({ String(decoding: $0, as: UTF8.self) })
                != records[key].map({ "\($0.count)" })
            { try await change(key) }
            for _ in 0..<random.below(3) { try await change(keys[random.below(keys.count)]) }
            let view = try await topic.cachedView(Self.configuration(), from: origin.source)
            do {
                for _ in 0..<150 {
                    let key = keys[random.below(keys.count)]
                    switch random.below(40) {
                    case 0..<5: try await change(key)
                    case 5 where random.below(3) == 0:
                        cuts += 1
                        storage.inject(
                            Fault(.powerCut, at: 1 + random.below(20), isPersistent: true))
                    case 6:
                        // Damage under an open view.
                        let blocks = storage.files.filter { $0.parent == Self.folder }
                        if !blocks.isEmpty {
                            let path = blocks[random.below(blocks.count)]
                            let size = storage.contents(of: path)?.count ?? 0
                            if size > 0 { try storage.flip(path, byte: random.below(size)) }
                        }
                    default:
                        let found = try await view.value(for: key)
                        let version = found.text.flatMap { Int($0) } ?? 0
                        let seen = records[key, default: []].count { $0 < found.offset }
                        #expect(
                            version >= seen,
                            "seed \(seed): \(found) of \(records[key, default: []])")
                        #expect(version <= records[key, default: []].count)
                    }
                }
            } catch { #expect(storage.isDown, "seed \(seed): \(error)") }
            diskHits += view.statistics.disk.hits
            await view.close()
            try? await database.close()
            storage.clearFaults()
            if storage.isDown { storage.crash() }
        }
        #expect(diskHits > 0 || cuts > 3, "seed \(seed)")
    }
}
