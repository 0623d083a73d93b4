import CordwoodLog
import CordwoodSimulation
import CordwoodStorage
import Testing

@testable import Cordwood

/// Power cuts and damage around sealings: what was acknowledged is found, what was deleted is not.
@Suite(.timeLimit(.minutes(15))) struct SealingCrashTests {
    /// A collection with two segments that have a few dead points each, too few for them to be built anew
    /// in the background, and a head; the model is what it holds.
    private func prepared(
        _ storage: SimulatedStorage, seed: UInt64, index: IndexKind = PointModel.kinds[0]
    ) async throws -> (Database, Collection, PointModel) {
        let database = try await Database.open(on: storage)
        let collection = try await database.collection(
            "points", PointModel.configuration(index: index))
        var model = PointModel()
        var random = SplitMix64(seed: seed)
        func upsert(_ ids: [UInt64]) async throws {
            let points = ids.map { Point(id: $0, vector: PointModel.vector(&random)) }
            for point in points {
                try await collection.upsert([point])
                model.points[point.id] = point.vector
            }
        }
        func delete(_ ids: [UInt64]) async throws {
            try await collection.delete(ids)
            for id in ids { model.points[id] = nil }
        }
        try await upsert(Array(0..<100))
        try await delete([97, 98, 99])
        try await collection.seal()
        try await upsert([3, 6, 9] + Array(110..<140))
        try await delete([12, 15])
        try await collection.seal()
        #expect(await collection.segments.map(\.vectorCount) == [97, 33])
        try await upsert([18, 21, 6, 110] + Array(150..<160))
        try await delete([24, 9, 111])
        return (database, collection, model)
    }

    private func reopened(_ storage: SimulatedStorage) async throws -> (Database, Collection) {
        let database = try await Database.open(on: storage)
        return (database, try await database.collection(named: "points"))
    }

    /// What is said of segments; that the log has lost its torn end is no news.
    private func notes(_ database: Database) -> [String] {
        database.recovery.notes.filter { $0.hasPrefix("collection points") }
    }

    /// The power goes in each operation of a sealing and of the changes behind it in turn.
    @Test(arguments: [SegmentMerging.small, .all])
    func powerIsCutInEveryOperation(merging: SegmentMerging) async throws {
        var number = 1
        var wasReached = true
        while wasReached {
            for crash in [Crash.bySeed, .dropUnsynced] {
                let storage = SimulatedStorage(seed: UInt64(number))
                let (_, collection, prepared) = try await prepared(storage, seed: 1)
                var model = prepared
                var random = SplitMix64(seed: UInt64(number))
                storage.inject(Fault(.powerCut, at: number))
                // In the middle of a change any of its records may be there.
                var uncertain: Set<UInt64> = []
                do {
                    try await collection.seal(merging: merging)
                    uncertain = [1]
                    try await collection.delete([1])
                    model.points[1] = nil
                    uncertain = [2]
                    let vector = PointModel.vector(&random)
                    try await collection.upsert([Point(id: 2, vector: vector)])
                    model.points[2] = vector
                    uncertain = []
                    try await collection.seal(merging: merging)
                } catch {}
                wasReached = storage.isDown
                storage.clearFaults()
                storage.crash(crash)
                let comment: Comment = "operation \(number), \(crash), \(merging)"
                let (database, again) = try await reopened(storage)
                #expect(notes(database).isEmpty, comment)
                for id in uncertain { model.points[id] = try await again.get(id)?.vector }
                try await model.check(again, random: &random, comment)
                // And it goes on from there.
                try await model.change(again, ids: 150, random: &random)
                try await again.seal()
                try await model.check(again, random: &random, comment)
                try await database.close()
            }
            number += 1
        }
        #expect(number > 30, "only \(number) operations")
    }

    /// A point that only a memory has, and that is lost, must not have taken another's place for good.
    @Test(arguments: 1...30 as ClosedRange<UInt64>)
    func whatIsNotDurableCostsNothing(seed: UInt64) async throws {
        let storage = SimulatedStorage(seed: seed)
        let (dead, collection, prepared) = try await prepared(
            storage, seed: seed, index: PointModel.kinds[Int(seed) % PointModel.kinds.count])
        var model = prepared
        var random = SplitMix64(seed: seed)
        // Not awaited by anyone: these replace and delete points that are sealed.
        let replaced = Set((0..<10).map { _ in UInt64(random.below(150)) })
        for id in replaced {
            if random.coin() {
                try await collection.upsert(
                    [Point(id: id, vector: PointModel.vector(&random))], acknowledge: .memory)
            } else {
                try await collection.delete([id], acknowledge: .memory)
            }
        }
        if random.coin() { try? await collection.seal() }
        storage.crash()
        // A process that died does not tidy up beside the one that comes after it.
        try? await dead.close()
        let (database, again) = try await reopened(storage)
        // No manifest is ahead of its log.
        #expect(notes(database).isEmpty, "seed \(seed)")
        for id in replaced { model.points[id] = try await again.get(id)?.vector }
        try await model.check(again, random: &random, "seed \(seed)")
        // The view is what the log alone says.
        let found = try await again.search([0, 0, 0, 0, 0, 0], limit: 1000, accuracy: .exact)
        try await database.close()
        for path in storage.files where path.names.contains("segments") {
            try await storage.remove(path)
        }
        let (rebuilt, fromLog) = try await reopened(storage)
        #expect(
            try await fromLog.search([0, 0, 0, 0, 0, 0], limit: 1000, accuracy: .exact) == found,
            "seed \(seed)")
        try await rebuilt.close()
    }

    enum Harm: CaseIterable {
        case flip, cut, remove, foreign
    }

    /// Files of segments that are damaged in any way are reported, and what they had is read from the
    /// log.
    @Test(arguments: Harm.allCases)
    func damageIsReportedAndMended(harm: Harm) async throws {
        var random = SplitMix64(seed: 1)
        let clean = SimulatedStorage(seed: 1)
        _ = try await prepared(clean, seed: 1).0.close()
        let names = clean.files.filter { $0.names.contains("segments") }
        #expect(names.count == 5)
        for path in names {
            for attempt in 0..<(harm == .remove ? 1 : 16) {
                let comment: Comment = "\(harm) of \(path), attempt \(attempt)"
                let storage = SimulatedStorage(seed: 1)
                let (first, _, model) = try await prepared(storage, seed: 1)
                try await first.close()
                let size = try #require(storage.contents(of: path)).count
                var byte = 0
                switch harm {
                case .flip:
                    byte = random.below(size)
                    try storage.flip(path, byte: byte, mask: UInt8(1 << random.below(8)))
                case .cut: try storage.cut(path, to: random.below(size))
                case .remove: try await storage.remove(path)
                case .foreign:
                    let other = clean.files.filter { $0 != path }
                    let bytes = storage.contents(of: other[random.below(other.count)]) ?? []
                    try await replace(path, on: storage, by: bytes)
                }
                let (database, collection) = try await reopened(storage)
                try await model.check(collection, random: &random, comment)
                let isManifest = path.names.last == "manifest"
                let notes = database.recovery.notes
                if isManifest && harm == .remove {
                    // That is how a collection looks that was never sealed.
                    #expect(notes.isEmpty, comment)
                } else if notes.isEmpty {
                    // Between sections there are zeros that nothing depends on.
                    #expect(harm == .flip && path.names.last!.hasSuffix(".vectors"), comment)
                } else {
                    #expect(notes.count == 1 && notes[0].contains("points"), comment)
                }
                try await collection.seal(merging: .all)
                try await model.check(collection, random: &random, comment)
                try await database.close()
                let (again, mended) = try await reopened(storage)
                #expect(again.recovery.notes.isEmpty, comment)
                #expect(await mended.segments.count == 1, comment)
                try await model.check(mended, random: &random, comment)
                try await again.close()
            }
        }
    }

    /// An index that is sound, and of as many points of the same ids and offsets, but is not the one that
    /// was written.
    @Test func anotherCollectionsIndexIsNotUsed() async throws {
        var stored: [SimulatedStorage] = []
        for seed in 1...2 as ClosedRange<UInt64> {
            stored.append(SimulatedStorage(seed: seed))
            _ = try await prepared(stored.last!, seed: seed).0.close()
        }
        let storage = stored[0]
        let path = try #require(storage.files.first { $0.names.last!.hasSuffix(".vectors") })
        let foreign = try #require(stored[1].files.first { $0.names.last!.hasSuffix(".vectors") })
        let other = try #require(stored[1].contents(of: foreign))
        #expect(other != storage.contents(of: path))
        let (_, _, model) = try await prepared(SimulatedStorage(seed: 1), seed: 1)
        try await replace(path, on: storage, by: other)
        let (database, collection) = try await reopened(storage)
        #expect(database.recovery.notes.count == 1)
        var random = SplitMix64(seed: 1)
        try await model.check(collection, random: &random, "another index")
        try await database.close()
    }

    private func replace(
        _ path: StoragePath, on storage: SimulatedStorage, by bytes: [UInt8]
    ) async throws {
        let file = try await storage.open(path, .readWrite)
        try await file.truncate(to: 0)
        try await file.write(
            [FileWrite(at: 0, [MemorySlice(MemoryBlock(copying: bytes))])], thenSync: true)
        await file.close()
    }

    /// Another record of the same point at the same offset, as a replica gets from a new leader, in the
    /// same life and in the next: the segment has the one that was cut.
    @Test(arguments: [false, true]) func anotherRecordAtTheOffsetOfASealedOne(
        reopens: Bool
    ) async throws {
        let storage = SimulatedStorage(seed: 1)
        var database = try await Database.open(on: storage)
        var collection = try await database.collection("points", PointModel.configuration())
        let (old, new): ([Float], [Float]) = ([1, 1, 1, 1, 1, 1], [2, 2, 2, 2, 2, 2])
        for id in 0..<4 as Range<UInt64> {
            try await collection.upsert([Point(id: id, vector: old)])
        }
        try await collection.seal()
        try await collection.log.truncate(to: 3)
        _ = try await collection.log.append(
            [try PointCodec.upsert(Point(id: 3, vector: new))], acknowledge: .durable)
        if reopens {
            try await database.close()
            database = try await Database.open(on: storage)
            collection = try await database.collection(named: "points")
        }
        let found = try await collection.search(new, limit: 10, accuracy: .exact)
        #expect(found.map(\.id) == [3, 0, 1, 2])
        #expect(found.map(\.distance) == [0, 6, 6, 6])
        #expect(database.recovery.notes.count == (reopens ? 1 : 0))
        try await database.close()
    }

    /// Segments of records that were cut from the log are dropped, and what these had replaced is back,
    /// in the same life and in the next.
    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func truncationsBelowSegments(seed: UInt64) async throws {
        let storage = SimulatedStorage(seed: seed)
        var random = SplitMix64(seed: seed)
        var (database, collection) = (
            try await Database.open(on: storage), nil as Collection?
        )
        let points = try await database.collection("points", PointModel.configuration())
        collection = points
        var histories: [(end: Int64, model: PointModel)] = [(0, PointModel())]
        var model = PointModel()
        for round in 0..<30 {
            guard let current = collection else { return }
            let comment: Comment = "seed \(seed), round \(round)"
            switch random.below(6) {
            case 0: try await current.seal(merging: random.coin() ? .small : .all)
            case 1:
                let cut = histories[random.below(histories.count)]
                try await current.log.truncate(to: cut.end)
                histories.removeAll { $0.end > cut.end }
                model = cut.model
                if random.coin() {
                    // Grown again, under the same offsets, before anybody looks.
                    try await database.close()
                    database = try await Database.open(on: storage)
                    collection = try await database.collection(named: "points")
                }
            default:
                try await model.change(current, ids: 100, random: &random)
                histories.append((current.log.endOffset, model))
            }
            try await model.check(try #require(collection), random: &random, comment)
        }
        try await database.close()
    }
}
