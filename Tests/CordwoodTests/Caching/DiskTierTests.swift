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
