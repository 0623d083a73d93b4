import CordwoodLog
import CordwoodSimulation
import CordwoodStorage
import Testing

@testable import Cordwood

@Suite(.timeLimit(.minutes(10))) struct SealingTests {
    /// Any mix of changes, sealings, reopenings and power cuts equals a dictionary.
    @Test(arguments: 1...12 as ClosedRange<UInt64>)
    func equalsADictionary(seed: UInt64) async throws {
        let storage = SimulatedStorage(seed: seed)
        var random = SplitMix64(seed: seed)
        // The odd ones are sealed in the background.
        let configuration = PointModel.configuration(
            sealAfter: seed % 2 == 0 ? 1 << 30 : 20 + random.below(60),
            index: PointModel.kinds[Int(seed / 2) % PointModel.kinds.count])
        var database = try await Database.open(on: storage)
        var collection = try await database.collection("points", configuration)
        var model = PointModel()
        for round in 0..<60 {
            let comment: Comment = "seed \(seed), round \(round)"
            switch random.below(10) {
            case 0: try await collection.seal(merging: .all)
            case 1, 2: try await collection.seal()
            case 3:
                if random.coin() {
                    try await database.close()
                } else {
                    storage.crash()
                    // What died does not tidy up beside what comes after it.
                    try? await database.close()
                }
                database = try await Database.open(on: storage)
                collection = try await database.collection(named: "points")
                let notes = database.recovery.notes.filter { $0.hasPrefix("collection points") }
                #expect(notes.isEmpty, comment)
            default: try await model.change(collection, ids: 300, random: &random)
            }
            #expect(collection.sealFailure == nil, comment)
            try await model.check(collection, random: &random, comment)
        }
        try await collection.seal(merging: .all)
        let segments = await collection.segments
        #expect(segments.count <= 1 && collection.headCount == 0, "seed \(seed)")
        #expect(segments.reduce(0) { $0 + $1.liveCount } == model.points.count, "seed \(seed)")
        try await database.close()
        // No file is left of what was joined.
        let files = storage.files.filter { $0.names.contains("segments") }
        #expect(files.count <= 3, "seed \(seed): \(files)")
    }

    /// The same log, sealed at the same offsets, gives the same files, however it came about.
    @Test func sameLogSameBytes() async throws {
        var contents: [[UInt8]?] = []
        for threads in [1, 3] {
            let storage = SimulatedStorage(seed: 5)
            var random = SplitMix64(seed: 5)
            var database = try await Database.open(on: storage, .init(buildThreads: threads))
            var collection = try await database.collection("points", PointModel.configuration())
            var model = PointModel()
            for round in 0..<40 {
                try await model.change(collection, ids: 300, random: &random)
                if round % 10 == 9 { try await collection.seal() }
                // Reopened, the head has its rows in another order.
                if round == 15, threads == 3 {
                    try await database.close()
                    database = try await Database.open(on: storage, .init(buildThreads: threads))
                    collection = try await database.collection(named: "points")
                }
            }
            try await collection.seal(merging: .all)
            try await database.close()
            let path = try #require(storage.files.first { $0.names.last!.hasSuffix(".vectors") })
            contents.append(storage.contents(of: path))
        }
        #expect(contents[0] != nil)
        #expect(contents[0] == contents[1])
    }

    /// Sizes grow as a binary counter does, and segments with many dead points are built anew.
    @Test func segmentsAreJoined() async throws {
        let storage = SimulatedStorage(seed: 1)
        let database = try await Database.open(on: storage)
        let collection = try await database.collection(
            "points", PointModel.configuration(sealAfter: 50))
        var counts: [Int] = []
        for step in 0..<8 as Range<UInt64> {
            try await collection.upsert(
                (0..<50).map { Point(id: step * 50 + $0, vector: [Float($0), 0, 0, 0, 0, 1]) })
            try await eventually("sealed") { collection.headCount == 0 }
            try await collection.seal()
            counts.append(await collection.segments.count)
        }
        #expect(counts == [1, 1, 2, 1, 2, 2, 3, 1])
        let number = await collection.segments[0].number
        try await collection.delete(Array(0..<80))
        #expect(await collection.segments.map(\.liveCount) == [320])
        #expect(await collection.segments.map(\.number) == [number])
        // More than a fifth: that is done in the background.
        try await collection.delete([80])
        try await eventually("built anew") { collection.sealFailure != nil || !isDue(collection) }
        try await collection.seal()
        let segments = await collection.segments
        #expect(segments.map(\.vectorCount) == [319])
        #expect(segments[0].number > number)
        // Nothing is left when all are gone.
        try await collection.delete(Array(0..<400))
        try await collection.seal()
        #expect(await collection.segments.isEmpty)
        try await database.close()
    }

    private func isDue(_ collection: Collection) -> Bool { collection.views.latest.view.isSealDue }

    /// Each kind with an effort at which it misses some, if it ever does.
    private static let churned: [(index: IndexKind, effort: Int)] = [
        (.flat, 1),
        (.hnsw(HNSWConfiguration(neighbors: 8, efConstruction: 60)), 30),
        (.ivf(IVFConfiguration(lists: 32, quantization: .pq4)), 12),
        (.disk(DiskConfiguration(degree: 16, efConstruction: 60)), 20),
    ]

    /// After half of the points were replaced or deleted, searches find as much as a rebuild does, held
    /// against a reference that knows the vectors that are left.
    @Test(arguments: churned)
    func churnCostsNoRecall(index: IndexKind, effort: Int) async throws {
        let storage = SimulatedStorage(seed: 3)
        let database = try await Database.open(on: storage)
        let configuration = CollectionConfiguration(
            dimensions: 16, metric: .l2, index: index, sealAfter: 1 << 30, log: .init())
        let collection = try await database.collection("points", configuration)
        var random = SplitMix64(seed: 3)
        func vector() -> [Float] { (0..<16).map { _ in Float(random.below(2001)) / 1000 - 1 } }
        let count: UInt64 = 2000
        var left: [UInt64: [Float]] = [:]
        func upsert(_ ids: [UInt64]) async throws {
            let points = ids.map { Point(id: $0, vector: vector()) }
            for point in points { left[point.id] = point.vector }
            try await collection.upsert(points)
        }
        try await upsert(Array(0..<count))
        try await collection.seal()
        // A fifth stays below what is built anew; the rest is sealed in between.
        for step in 0..<5 as Range<UInt64> {
            let ids = (0..<count).filter { $0 % 10 == step }
            try await collection.delete(ids)
            for id in ids { left[id] = nil }
            try await upsert(ids.map { count + $0 })
            if step % 2 == 1 { try await collection.seal() }
        }
        let queries = (0..<100).map { _ in vector() }
        let truth = queries.map { query -> [UInt64] in
            var ranking: [(distance: Float, id: UInt64)] = []
            for (id, vector) in left {
                var distance: Float = 0
                for (one, other) in zip(vector, query) { distance += (one - other) * (one - other) }
                ranking.append((distance, id))
            }
            return ranking.sorted { $0 < $1 }.prefix(10).map(\.id)
        }
        func recall() async throws -> Double {
            // One by one: the queries of a batch would share a scan of so few.
            var hits = 0
            for (query, nearest) in zip(queries, truth) {
                let found = try await collection.search(query, limit: 10, accuracy: .effort(effort))
                hits += Set(nearest).intersection(found.map(\.id)).count
            }
            return Double(hits) / Double(10 * truth.count)
        }
        let churned = try await recall()
        try await collection.seal(merging: .all)
        let rebuilt = try await recall()
        #expect(churned >= rebuilt - 0.01, "\(churned) after churn, \(rebuilt) after a rebuild")
        #expect(rebuilt > 0.8)
        switch index {
        case .flat: #expect(churned == 1 && rebuilt == 1)
        case .hnsw, .ivf, .disk: #expect(rebuilt < 1, "the effort is too much to tell by")
        }
        try await database.close()
    }

    /// What retention has given up is gone after a reopening, as it is without segments, and a head of
    /// such points is not sealed for ever.
    @Test(arguments: [false, true]) func pointsThatTheLogHasGivenUp(seals: Bool) async throws {
        let storage = SimulatedStorage(seed: 1)
        var database = try await Database.open(on: storage)
        var collection = try await database.collection("points", PointModel.configuration())
        let vector: [Float] = [1, 2, 3, 4, 5, 6]
        for id in 0..<30 as Range<UInt64> {
            try await collection.upsert([Point(id: id, vector: vector)])
            if id == 14 { try await collection.seal() }
        }
        try await collection.log.roll()
        try await collection.log.deleteRecords(before: 20)
        if seals {
            try await collection.seal()
            #expect(collection.headCount == 0)
        }
        try await database.close()
        database = try await Database.open(on: storage)
        collection = try await database.collection(named: "points")
        #expect(collection.count == 10)
        #expect(
            try await collection.search(vector, limit: 100).map(\.id) == Array(20..<30))
        try await database.close()
    }

    /// Compaction leaves what segments are built from: the latest record of each id.
    @Test func segmentsAreBuiltFromACompactedLog() async throws {
        let storage = SimulatedStorage(seed: 8)
        var configuration = PointModel.configuration()
        configuration.log.cleanupPolicy = .compact
        configuration.log.deleteRetentionMilliseconds = 0
        var database = try await Database.open(on: storage)
        var collection = try await database.collection("points", configuration)
        var model = PointModel()
        var random = SplitMix64(seed: 8)
        for round in 0..<60 {
            try await model.change(collection, ids: 200, random: &random)
            if round % 7 == 0 { try await collection.seal(merging: random.coin() ? .all : .small) }
            if round % 5 == 0 {
                try await collection.log.roll()
                _ = try await collection.log.compact(force: true, options: .init())
            }
            if round % 20 == 19 {
                try await database.close()
                database = try await Database.open(on: storage)
                collection = try await database.collection(named: "points")
            }
            try await model.check(collection, random: &random, "round \(round)")
        }
        // All segments are lost: what they had is in the log.
        try await database.close()
        for path in storage.files where path.names.last!.hasSuffix(".vectors") {
            try await storage.remove(path)
        }
        database = try await Database.open(on: storage)
        collection = try await database.collection(named: "points")
        try await model.check(collection, random: &random, "rebuilt")
        try await database.close()
    }

    @Test func aSealingThatIsCancelledChangesNothing() async throws {
        let storage = SimulatedStorage(seed: 1)
        let database = try await Database.open(on: storage)
        let collection = try await database.collection("points", PointModel.configuration())
        var random = SplitMix64(seed: 1)
        var model = PointModel()
        for _ in 0..<20 { try await model.change(collection, ids: 300, random: &random) }
        let sealing = Task {
            while !Task.isCancelled { await Task.yield() }
            try await collection.seal()
        }
        sealing.cancel()
        await expectDatabaseError(.cancelled) { try await sealing.value }
        // Also from within.
        let within = Task {
            try await collection.seal { _, _ in withUnsafeCurrentTask { $0?.cancel() } }
        }
        _ = await within.result
        try await model.check(collection, random: &random, "cancelled")
        #expect(collection.count == model.points.count)
        try await database.close()
        await expectDatabaseError(.closed) { try await collection.seal() }
    }

    /// A full disk, or one that fails, leaves the points where they are, and the next sealing goes well.
    @Test func aSealingThatFailsIsReported() async throws {
        let storage = SimulatedStorage(seed: 1)
        let database = try await Database.open(on: storage)
        let collection = try await database.collection("points", PointModel.configuration())
        var random = SplitMix64(seed: 1)
        var model = PointModel()
        for _ in 0..<10 { try await model.change(collection, ids: 300, random: &random) }
        for number in 1...6 {
            storage.inject(Fault(.noSpace, at: number, of: .write))
            await expectDatabaseError(.storage, "space") { try await collection.seal() }
            #expect(await collection.segments.isEmpty)
            try await model.check(collection, random: &random, "failed")
            storage.clearFaults()
            // What was half written does not keep the disk full.
            #expect(storage.files.allSatisfy { !$0.names.contains("segments") })
        }
        try await collection.seal()
        #expect(await collection.segments.count == 1)
        try await model.check(collection, random: &random, "sealed")
        try await database.close()
    }

    /// Of a failure in the background nobody would hear otherwise; the head grows, and the next one goes
    /// well.
    @Test func aSealingThatFailsInTheBackgroundIsNoted() async throws {
        let storage = SimulatedStorage(seed: 1)
        let database = try await Database.open(on: storage)
        let notes = AsyncStream<String>.makeStream()
        await database.observe(
            DatabaseObserver(
                observer: { _ in LogObserver() },
                noted: { place, note in notes.continuation.yield("\(place): \(note)") }))
        let collection = try await database.collection(
            "points", PointModel.configuration(sealAfter: 20))
        // The folder of the segments cannot be made.
        storage.inject(Fault(.noSpace, at: 2, of: .mkdir))
        storage.inject(Fault(.noSpace, at: 1, of: .mkdir))
        func upsert(_ ids: Range<UInt64>) async throws {
            try await collection.upsert(
                ids.map { Point(id: $0, vector: [1, 2, 3, 4, 5, Float($0)]) })
        }
        try await upsert(0..<20)
        var iterator = notes.stream.makeAsyncIterator()
        let note = try #require(await iterator.next())
        #expect(note.contains("collection points") && note.contains("no space"), "\(note)")
        #expect(collection.sealFailure?.code == .storage)
        storage.clearFaults()
        // Not before the head has grown by as many.
        try await upsert(20..<39)
        #expect(collection.headCount == 39)
        try await upsert(39..<40)
        try await eventually("sealed") { await collection.segments.map(\.liveCount) == [40] }
        try await eventually("forgotten") { collection.sealFailure == nil }
        #expect(try await collection.search([1, 2, 3, 4, 5, 0], limit: 100).count == 40)
        try await database.close()
    }
}
