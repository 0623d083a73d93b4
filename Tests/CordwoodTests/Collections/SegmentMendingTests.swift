import CordwoodLog
import CordwoodSimulation
import CordwoodStorage
import Synchronization
import Testing

@testable import Cordwood

/// A segment whose file turns out to be damaged, or cannot be read, while it is searched: its points are
/// read from the log and sealed anew, and no search is wrong meanwhile.
@Suite(.timeLimit(.minutes(5))) struct SegmentMendingTests {
    private static let everything: [Float] = [0, 0, 0, 0, 0, 0]

    /// Two segments on disk and a head, opened anew after a page of these segments was damaged, which
    /// opening does not look at.
    private func prepared(
        _ storage: SimulatedStorage, seed: UInt64, damaging damaged: [Int] = [0, 1],
        andTheLog: Bool = false
    ) async throws -> (Database, Collection, PointModel) {
        var database = try await Database.open(on: storage)
        var collection = try await database.collection(
            "points", PointModel.configuration(index: PointModel.kinds[2]))
        var model = PointModel()
        var random = SplitMix64(seed: seed)
        func upsert(_ ids: Range<UInt64>) async throws {
            // Of such a length that the log has a segment that opening does not look at, either.
            let points = ids.map {
                Point(
                    id: $0, vector: PointModel.vector(&random),
                    payload: ["text": .string(String(repeating: "x", count: 300))])
            }
            try await collection.upsert(points)
            for point in points { model.points[point.id] = point.vector }
        }
        try await upsert(0..<120)
        try await collection.seal()
        try await upsert(115..<150)
        try await collection.seal()
        try await upsert(145..<155)
        try await collection.delete([3, 117])
        for id in [3, 117] as [UInt64] { model.points[id] = nil }
        #expect(await collection.segments.map(\.vectorCount) == [120, 35])
        try await database.close()
        let paths = vectorFiles(storage)
        // The page behind the header.
        for index in damaged { try storage.flip(paths[index], byte: 4096 + 100, mask: 1) }
        if andTheLog {
            let log = try #require(
                storage.files.first {
                    $0.names.contains("points") && $0.names.last!.hasSuffix(".log")
                })
            try storage.flip(log, byte: 10_000, mask: 1)
        }
        database = try await Database.open(on: storage)
        collection = try await database.collection(named: "points")
        #expect(database.recovery.notes.isEmpty && collection.damage.isEmpty)
        return (database, collection, model)
    }

    private func vectorFiles(_ storage: SimulatedStorage) -> [StoragePath] {
        storage.files.filter { $0.names.last!.hasSuffix(".vectors") }
    }

    private final class Counter: Sendable {
        let value = Atomic(0)
    }

    private func notes(
        of database: Database, _ rebuilt: Counter
    ) async -> AsyncStream<String> {
        let notes = AsyncStream<String>.makeStream()
        await database.observe(
            DatabaseObserver(
                observer: { _ in LogObserver() },
                noted: { place, note in notes.continuation.yield("\(place): \(note)") },
                collection: { _ in
                    CollectionObserver(rebuilt: { rebuilt.value.add($0, ordering: .relaxed) })
                }))
        return notes.stream
    }

    /// Of one segment, or of both.
    @Test(arguments: [[0], [1], [0, 1]]) func aDamagedPageIsMended(damaged: [Int]) async throws {
        let storage = SimulatedStorage(seed: 1)
        let (database, collection, model) = try await prepared(
            storage, seed: 1, damaging: damaged)
        let rebuilt = Counter()
        let notes = await notes(of: database, rebuilt)
        let numbers = await collection.segments.map(\.number)
        let paths = vectorFiles(storage)
        // Sealing waits, so that what is said of it can be seen.
        storage.holdCompletions(of: [.rename])
        var random = SplitMix64(seed: 1)
        try await model.check(collection, random: &random, "in the head")
        #expect(collection.damage.map(\.segment) == damaged.map { numbers[$0] })
        #expect(collection.damage.allSatisfy { $0.problem.contains("damaged") })
        try await eventually("sealing") { collection.isSealing }
        #expect(await collection.segments.count == 2 - damaged.count)
        var iterator = notes.makeAsyncIterator()
        let note = try #require(await iterator.next())
        #expect(
            note.contains("segment \(numbers[damaged[0]]) of collection points"), "\(note)")
        storage.releaseCompletions()
        try await eventually("built anew") { collection.damage.isEmpty && !collection.isSealing }
        #expect(collection.headCount == 0 && collection.sealFailure == nil)
        try await model.check(collection, random: &random, "built anew")
        try await eventually("told") { rebuilt.value.load(ordering: .relaxed) == damaged.count }
        // The damaged files are gone, and the next opening finds nothing wrong.
        try await eventually("removed") {
            damaged.allSatisfy { !storage.files.contains(paths[$0]) }
        }
        try await database.close()
        let again = try await Database.open(on: storage)
        try await model.check(
            try await again.collection(named: "points"), random: &random, "reopened")
        #expect(again.recovery.notes.isEmpty)
        try await again.close()
    }

    /// Changes and searches go on while a segment is mended; each point is found once.
    @Test(arguments: 1...6 as ClosedRange<UInt64>)
    func changesMeanwhile(seed: UInt64) async throws {
        let storage = SimulatedStorage(seed: seed)
        let (database, collection, prepared) = try await prepared(storage, seed: seed)
        var model = prepared
        let searches = Task {
            for _ in 0..<20 {
                let found = try await collection.search(
                    Self.everything, limit: 1000, accuracy: .exact)
                #expect(Set(found.map(\.id)).count == found.count, "seed \(seed)")
                #expect(found.count > 100, "seed \(seed)")
            }
        }
        var random = SplitMix64(seed: seed)
        for round in 0..<20 {
            try await model.change(collection, ids: 200, random: &random)
            if round % 5 == 4 { try await collection.seal(merging: random.coin() ? .all : .small) }
        }
        try await searches.value
        try await model.check(collection, random: &random, "seed \(seed)")
        try await collection.seal()
        try await eventually("built anew") { collection.damage.isEmpty }
        try await model.check(collection, random: &random, "seed \(seed)")
        try await database.close()
        let again = try await Database.open(on: storage)
        try await model.check(
            try await again.collection(named: "points"), random: &random, "seed \(seed)")
        try await again.close()
    }

    /// When some of its points are in the head each point is found once, the others in the segment.
    @Test func halfOfASegmentIsInTheHead() async throws {
        let storage = SimulatedStorage(seed: 1)
        let (database, collection, model) = try await prepared(storage, seed: 1, damaging: [])
        let view = try #require(
            collection.views.latest.view as? CollectionView<SimulatedStorage>)
        let segment = await view.read { $0.segments[0].segment }
        let all = await view.read { $0.entries(of: segment) }
        #expect(all.count == 114 && zip(all, all.dropFirst()).allSatisfy { $0.offset < $1.offset })
        let half = all.prefix(60).map {
            PointMutation(id: $0.id, vector: model.points[$0.id], offset: $0.offset)
        }
        // A record that is not the latest any more changes nothing.
        let old = PointMutation(id: all[70].id, vector: [9, 9, 9, 9, 9, 9], offset: 0)
        try await view.write { points throws(VectorError) in
            try points.restore(half + [old], of: segment)
        }
        #expect(collection.headCount == 70)
        var random = SplitMix64(seed: 1)
        try await model.check(collection, random: &random, "half")
        try await collection.seal(merging: .all)
        try await model.check(collection, random: &random, "sealed")
        try await database.close()
    }

    /// What neither the segment nor the log has is an error with a name; the rest of the log is as it was.
    @Test func aDamagedLogIsToldByTheSearch() async throws {
        let storage = SimulatedStorage(seed: 1)
        let (database, collection, _) = try await prepared(
            storage, seed: 1, andTheLog: true)
        for _ in 0..<2 {
            await expectDatabaseError(.log, "were not read from the log") {
                _ = try await collection.search(Self.everything, limit: 1000, accuracy: .exact)
            }
        }
        #expect(collection.damage.count == 1)
        #expect(collection.count == 153)
        try await database.close()
    }

    /// A segment that opening finds damaged is told of, and built anew, in the same way.
    @Test func damageFoundAtOpening() async throws {
        let storage = SimulatedStorage(seed: 1)
        let (first, _, model) = try await prepared(storage, seed: 1, damaging: [])
        try await first.close()
        let path = vectorFiles(storage)[0]
        try storage.flip(path, byte: 100, mask: 1)
        let database = try await Database.open(on: storage)
        let collection = try await database.collection(named: "points")
        #expect(database.recovery.notes.count == 1)
        var random = SplitMix64(seed: 1)
        try await model.check(collection, random: &random, "in the head")
        try await eventually("built anew") { collection.damage.isEmpty && !collection.isSealing }
        try await eventually("removed") { !storage.files.contains(path) }
        try await model.check(collection, random: &random, "built anew")
        try await database.close()
    }
}
