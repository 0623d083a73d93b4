import CordwoodVectors
import TestSupport
import Testing

/// What a flat index returns, against a reference in double precision.
@Suite struct FlatSearchTests {
    static let dimensions = [1, 2, 3, 15, 16, 17, 50, 128, 384, 1000]

    @Test(arguments: Metric.allCases, dimensions)
    func equalsReference(metric: Metric, dimensions: Int) throws {
        for count in [1, 3, 4, 5, 150] {
            var generator = SeededGenerator(seed: UInt64(dimensions * 1000 + count))
            let index = try TestIndex(dimensions: dimensions, metric: metric)
            var reference = Reference(metric: metric)
            for _ in 0..<count {
                let id = generator.next()
                let vector = generator.vector(dimensions)
                try index.upsert(id, vector)
                reference.vectors[id] = vector
            }
            for limit in [1, 10, count + 5] {
                let query = generator.vector(dimensions)
                let found = try index.search(query, limit: limit)
                let expected = reference.ranking(query)
                let tolerance = reference.tolerance(query)
                #expect(found.count == min(limit, count))
                #expect(Set(found.map(\.id)).count == found.count)
                for (rank, neighbor) in found.enumerated() {
                    let vector = try #require(reference.vectors[neighbor.id])
                    let exact = reference.distance(query, vector)
                    #expect(
                        abs(Double(neighbor.distance) - exact) <= tolerance
                            && abs(exact - expected[rank].distance) <= tolerance,
                        "seed \(generator.seed), rank \(rank)")
                }
                #expect(isSorted(found))
            }
        }
    }

    /// Whole components: distances are exact, and most of them equal.
    @Test(arguments: [Metric.l2, .innerProduct], [1, 2, 17, 50])
    func tiesGoToTheSmallerID(metric: Metric, dimensions: Int) throws {
        var generator = SeededGenerator(seed: UInt64(dimensions))
        let index = try TestIndex(dimensions: dimensions, metric: metric)
        var reference = Reference(metric: metric)
        for id in (0..<UInt64(500)).shuffled(using: &generator) {
            let vector = generator.wholeVector(dimensions, in: 0...1)
            try index.upsert(id, vector)
            reference.vectors[id] = vector
        }
        for limit in [1, 7, 64, 499, 500] {
            let queries = (0..<5).map { _ in generator.wholeVector(dimensions) }
            for query in queries {
                let found = try index.search(query, limit: limit)
                let expected = reference.ranking(query).prefix(limit)
                #expect(found.map(\.id) == expected.map(\.id), "seed \(generator.seed)")
                #expect(found.map { Double($0.distance) } == expected.map(\.distance))
            }
            let batch = try index.search(batch: queries.flatMap { $0 }, limit: limit)
            for (query, found) in zip(queries, batch) {
                #expect(found.map(\.id) == reference.ranking(query).prefix(limit).map(\.id))
            }
        }
    }

    @Test(arguments: Metric.allCases)
    func duplicatesAreAllFound(metric: Metric) throws {
        let index = try TestIndex(dimensions: 20, metric: metric)
        var generator = SeededGenerator(seed: 3)
        let vector = generator.vector(20)
        for id in (0..<UInt64(300)).reversed() {
            try index.upsert(id, vector)
        }
        let single = try index.search(vector, limit: 100)
        #expect(single.map(\.id) == Array(0..<100))
        let batch = try index.search(batch: repeated(vector, 9), limit: 100)
        #expect(batch.count == 9 && batch.allSatisfy { $0 == single })
    }

    @Test(arguments: Metric.allCases)
    func anEmptyIndexFindsNothing(metric: Metric) throws {
        let index = try TestIndex(dimensions: 3, metric: metric)
        #expect(try index.search([1, 2, 3], limit: 5) == [])
        #expect(try index.search(batch: [1, 2, 3, 4, 5, 6], limit: 5) == [[], []])
        #expect(try index.search(batch: [], limit: 5) == [])
    }

    @Test func aZeroVectorIsAtCosineDistanceOne() throws {
        let index = try TestIndex(dimensions: 3, metric: .cosine)
        try index.upsert(1, [0, 0, 0])
        try index.upsert(2, [0, 5, 0])
        try index.upsert(3, [0, -5, 0])
        #expect(
            try index.search([0, 1, 0], limit: 3) == [
                Neighbor(id: 2, distance: 0), Neighbor(id: 1, distance: 1),
                Neighbor(id: 3, distance: 2),
            ])
        let fromZero = try index.search([0, 0, 0], limit: 3)
        #expect(fromZero == [1, 2, 3].map { Neighbor(id: $0, distance: 1) })
        #expect(index.vector(of: 1) == [0, 0, 0])
    }

    /// Products that overflow to infinities of both signs make a distance that is not a number; it
    /// counts as infinite and still takes its place among the results.
    @Test(arguments: Metric.allCases)
    func hugeComponentsStillGiveEveryResult(metric: Metric) throws {
        let huge = Float.greatestFiniteMagnitude
        let index = try TestIndex(dimensions: 40, metric: metric)
        for id in 0..<UInt64(30) {
            let vector = (0..<40).map { $0 % 2 == 0 ? huge : id % 2 == 0 ? -huge : huge }
            try index.upsert(id, vector)
        }
        try index.upsert(99, Array(repeating: 1, count: 40))
        let query = Array(repeating: huge, count: 40)
        for limit in [1, 5, 31, 50] {
            let single = try index.search(query, limit: limit)
            #expect(single.count == min(limit, 31))
            #expect(isSorted(single))
            let batch = try index.search(batch: repeated(query, 5), limit: limit)
            #expect(batch == Array(repeating: single, count: 5))
        }
    }

    @Test(arguments: [Int.min, -1, 0, FlatIndex.maximumLimit + 1, .max])
    func limitsOutsideTheRangeAreRefused(limit: Int) throws {
        let index = try TestIndex(dimensions: 1, metric: .l2)
        expectError(.invalidLimit, mentions: "\(limit)") {
            () throws(VectorError) in _ = try index.search([1], limit: limit)
        }
        expectError(.invalidLimit, mentions: "\(limit)") {
            () throws(VectorError) in _ = try index.search(batch: [1], limit: limit)
        }
        #expect(try index.search([1], limit: FlatIndex.maximumLimit) == [])
    }

    @Test func queriesThatAreNoVectorAreRefused() throws {
        let index = try TestIndex(dimensions: 2, metric: .l2)
        expectError(.wrongDimensions, mentions: "expected 2 components, found 3") {
            () throws(VectorError) in _ = try index.search([1, 2, 3], limit: 1)
        }
        expectError(.wrongDimensions, mentions: "multiple of 2 components, found 3") {
            () throws(VectorError) in _ = try index.search(batch: [1, 2, 3], limit: 1)
        }
        expectError(.notFinite, mentions: "component 1") {
            () throws(VectorError) in _ = try index.search([1, .nan], limit: 1)
        }
        expectError(.notFinite, mentions: "query 1: component 0") {
            () throws(VectorError) in
            _ = try index.search(batch: [1, 2, .infinity, 4], limit: 1)
        }
    }
}
