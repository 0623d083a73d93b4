import Cordwood
import CordwoodSimulation
import CordwoodStorage
import Testing

@Suite struct CollectionTests {
    /// Any mix of changes, from several tasks, and after a reopen, equals a dictionary.
    @Test(arguments: 1...6 as ClosedRange<UInt64>)
    func equalsADictionary(seed: UInt64) async throws {
        let storage = SimulatedStorage(seed: seed)
        let configuration = CollectionConfiguration(
            dimensions: 4, metric: .l2,
            log: .init(segmentBytes: 20_000, maxMessageBytes: 4_000))
        var database = try await Database.open(on: storage)
        var collection = try await database.collection("points", configuration)
        var model: [UInt64: Point] = [:]
        var generator = SplitMix64(seed: seed)
        for round in 0..<120 {
            if generator.below(4) == 0 {
                let ids = (0...generator.below(3)).map { _ in UInt64(generator.below(40)) }
                _ = try await collection.delete(ids)
                for id in ids { model[id] = nil }
            } else {
                let points = (0...generator.below(5)).map { _ in
                    Point(
                        id: UInt64(generator.below(40)),
                        vector: (0..<4).map { _ in Float(generator.below(100)) },
                        payload: ["round": .integer(Int64(round))])
                }
                _ = try await collection.upsert(points)
                for point in points { model[point.id] = point }
            }
            if round % 40 == 39 {
                try await database.close()
                database = try await Database.open(on: storage)
                collection = try await database.collection(named: "points")
            }
            #expect(collection.count == model.count, "seed \(seed), round \(round)")
        }
        for id in 0..<40 as Range<UInt64> {
            #expect(try await collection.get(id) == model[id], "seed \(seed), id \(id)")
        }
        let query: [Float] = [50, 50, 50, 50]
        let found = try await collection.search(query, limit: 100)
        let expected = model.values.map { point in
            (
                zip(point.vector, query).reduce(Float(0)) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) },
                point.id
            )
        }.sorted { $0 < $1 }
        #expect(found.map(\.id) == expected.map(\.1), "seed \(seed)")
        #expect(collection.appliedOffset > 0)
        try await database.close()
    }

    /// Whatever the order in which concurrent appends return, the view is that of the log.
    @Test func concurrentChangesApplyInTheOrderOfTheLog() async throws {
        let storage = SimulatedStorage(seed: 7)
        let database = try await Database.open(on: storage)
        let collection = try await database.collection(
            "points", .init(dimensions: 1, metric: .l2))
        await withTaskGroup(of: Void.self) { tasks in
            for writer in 0..<8 {
                tasks.addTask {
                    for round in 0..<20 {
                        let point = Point(id: 1, vector: [Float(writer * 100 + round)])
                        do { _ = try await collection.upsert([point]) } catch {
                            Issue.record(error)
                        }
                    }
                }
            }
        }
        let inMemory = try await collection.search([0], limit: 1)
        try await database.close()
        let again = try await Database.open(on: storage)
        let replayed = try await again.collection(named: "points")
        #expect(try await replayed.search([0], limit: 1) == inMemory)
        #expect(replayed.count == 1)
        try await again.close()
    }

    /// Every acknowledged change is there after power was lost, and nothing else breaks.
    @Test(arguments: 1...40 as ClosedRange<UInt64>)
    func acknowledgedPointsSurviveACrash(seed: UInt64) async throws {
        let storage = SimulatedStorage(seed: seed)
        let configuration = CollectionConfiguration(
            dimensions: 2, metric: .innerProduct,
            log: .init(segmentBytes: 9_000, maxMessageBytes: 2_000))
        var acknowledged: Set<UInt64> = []
        var generator = SplitMix64(seed: seed)
        for life in 0..<3 as Range<UInt64> {
            let database = try await Database.open(on: storage)
            let collection = try await database.collection("points", configuration)
            #expect(collection.count >= acknowledged.count, "seed \(seed), life \(life)")
            for id in acknowledged {
                #expect(try await collection.get(id) != nil, "seed \(seed), id \(id)")
            }
            for number in 0..<UInt64(5 + generator.below(30)) {
                let id = life * 1000 + number
                _ = try await collection.upsert([Point(id: id, vector: [Float(id), 1])])
                acknowledged.insert(id)
            }
            for number in 500..<510 as Range<UInt64> {
                _ = try await collection.upsert(
                    [Point(id: life * 1000 + number, vector: [0, 0])], acknowledge: .memory)
            }
            storage.crash()
        }
    }

    @Test func badVectorsAreRefusedAndNothingIsWritten() async throws {
        let database = try await Database.open(on: SimulatedStorage(seed: 1))
        let collection = try await database.collection(
            "points", .init(dimensions: 3, metric: .cosine))
        func expect(
            _ code: DatabaseError.Code, _ words: String, _ body: () async throws -> Void
        ) async {
            do {
                try await body()
                Issue.record("expected \(code)")
            } catch let error as DatabaseError {
                #expect(error.code == code)
                #expect("\(error)".contains(words), "\(error)")
            } catch { Issue.record(error) }
        }
        let good = Point(id: 1, vector: [1, 2, 3])
        await expect(.invalidVector, "expected 3 components, found 2") {
            _ = try await collection.upsert([good, Point(id: 2, vector: [1, 2])])
        }
        await expect(.invalidVector, "component 1") {
            _ = try await collection.upsert([good, Point(id: 2, vector: [1, .nan, 2])])
        }
        await expect(.invalidVector, "inf") {
            _ = try await collection.upsert([Point(id: 2, vector: [1, .infinity, 2])])
        }
        await expect(.emptyBatch, "at least one record") { _ = try await collection.upsert([]) }
        await expect(.invalidVector, "limit") {
            _ = try await collection.search([1, 2, 3], limit: 0)
        }
        await expect(.invalidVector, "expected 3") { _ = try await collection.search([1]) }
        #expect(collection.count == 0)
        #expect(collection.statistics.appendedRecords == 0)
        try await database.close()
        await expect(.closed, "closed") { _ = try await collection.upsert([good]) }
    }
}

@Suite struct CollectionCancellationTests {
    @Test func aCancelledSearchDoesNotRun() async throws {
        let database = try await Database.open(on: SimulatedStorage(seed: 1))
        let collection = try await database.collection(
            "points", .init(dimensions: 1, metric: .l2))
        let search = Task {
            while !Task.isCancelled { await Task.yield() }
            return try await collection.search([1])
        }
        search.cancel()
        switch await search.result {
        case .success: Issue.record("expected the search to be cancelled")
        case .failure(let error): #expect((error as? DatabaseError)?.code == .cancelled)
        }
        try await database.close()
    }
}
