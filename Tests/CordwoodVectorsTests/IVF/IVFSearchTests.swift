import TestSupport
import Testing

@testable import CordwoodVectors

@Suite struct IVFSearchTests {
    /// What the nearest lists have is what there is to find, mostly, and more with more of them; whatever
    /// is found is in order, once each, and as far away as it says.
    @Test(arguments: Metric.allCases, IVFIndex.quantizations)
    func findsWhatIsNear(metric: Metric, quantization: Quantization) throws {
        for (dimensions, seed) in [(3, 1), (24, 2), (100, 3), (131, 4)] as [(Int, UInt64)] {
            let data = ClusteredVectors(
                count: 1000, queries: 30, dimensions: dimensions, seed: seed)
            let index = try data.lists(metric, .init(lists: 40, quantization: quantization))
            let flat = try data.flatIndex(metric)
            let reference = Reference(metric: metric)
            let expected = try data.queries.map { try flat.search($0, limit: 10) }
            var last = 0.0
            for probes in [1, 5, 20, 40] {
                let found = try data.queries.map {
                    try index.search($0, limit: 10, accuracy: .effort(probes))
                }
                let recall = recall(found, expected)
                #expect(recall >= last - 0.02, "\(dimensions) dimensions, \(probes) probes")
                last = recall
                for (query, neighbors) in zip(data.queries, found) {
                    #expect(neighbors.count == 10 && isSorted(neighbors))
                    #expect(Set(neighbors.map(\.id)).count == 10)
                    let vector = data.vectors[Int(neighbors[9].id)]
                    let exact = reference.distance(query, vector)
                    #expect(
                        abs(Double(neighbors[9].distance) - exact) < 1e-4 * max(1, abs(exact)))
                }
            }
            // All lists are read: only the order by codes can be wrong. Of three components two groups
            // cannot tell many vectors apart.
            let isCoarse = quantization == .pq4 && dimensions < 16
            #expect(
                last >= (isCoarse ? 0.7 : quantization == .none ? 1 : 0.9),
                "\(metric), \(quantization), \(dimensions) dimensions: \(last)")
        }
    }

    /// By codes alone, distances are near to the truth, and results what such distances allow.
    @Test(arguments: Metric.allCases, [Quantization.sq8, .pq4, .pq8])
    func withoutVectorsDistancesAreThoseOfCodes(
        metric: Metric, quantization: Quantization
    ) throws {
        let data = ClusteredVectors(count: 1200, dimensions: 40, seed: 5)
        var configuration = IVFConfiguration(
            lists: 20, quantization: quantization, keepsVectors: false)
        let index = try data.lists(metric, configuration)
        configuration.keepsVectors = true
        let whole = try data.lists(metric, configuration)
        #expect(index.bytesAllocated + 1200 * 40 * 4 == whole.bytesAllocated)
        let flat = try data.flatIndex(metric)
        let reference = Reference(metric: metric)
        let expected = try data.queries.map { try flat.search($0, limit: 10) }
        let found = try data.queries.map {
            try index.search($0, limit: 10, accuracy: .effort(20))
        }
        var hits = 0
        for (query, (found, expected)) in zip(data.queries, zip(found, expected)) {
            #expect(isSorted(found) && found.count == 10)
            hits += Set(found.map(\.id)).intersection(expected.map(\.id)).count
            let exact = reference.distance(query, data.vectors[Int(found[0].id)])
            let error = abs(Double(found[0].distance) - exact)
            #expect(error < (quantization == .sq8 ? 0.02 : 0.5) * max(1, abs(exact)), "\(error)")
        }
        let share = Double(hits) / Double(10 * data.queries.count)
        #expect(share > (quantization == .sq8 ? 0.9 : 0.3), "\(share)")
        #expect(try index.search(data.queries[0], limit: 10, accuracy: .exact).count == 10)
    }

    @Test(arguments: Metric.allCases, IVFIndex.quantizations)
    func anExactSearchIsThatOfAFlatIndex(metric: Metric, quantization: Quantization) throws {
        let data = ClusteredVectors(count: 700, queries: 20, dimensions: 19, seed: 6)
        let index = try data.lists(metric, .init(quantization: quantization))
        let flat = try data.flatIndex(metric)
        for query in data.queries {
            let expected = try flat.search(query, limit: 13)
            let found = try index.search(query, limit: 13, accuracy: .exact)
            #expect(found.map(\.id) == expected.map(\.id))
        }
    }

    /// There are as many results as there are vectors, however few lists are read.
    @Test(arguments: IVFIndex.quantizations)
    func returnsAllThatThereAre(quantization: Quantization) throws {
        for count in [0, 1, 2, 3, 17, 40, 200] {
            let data = ClusteredVectors(count: count, queries: 3, dimensions: 7, seed: 7)
            for lists in [1, 5000] {
                let index = try data.lists(
                    .l2, .init(lists: lists, quantization: quantization))
                #expect(index.count == count)
                #expect(index.configuration.lists == min(lists, max(count, 1)))
                for limit in [1, 2, 10, 1000] {
                    let found = try index.search(
                        data.queries[0], limit: limit, accuracy: .effort(1))
                    #expect(found.count == min(limit, count), "\(limit) of \(count)")
                    #expect(isSorted(found))
                }
            }
        }
    }

    /// Each vector finds itself.
    @Test(arguments: Metric.allCases.filter { $0 != .innerProduct }, IVFIndex.quantizations)
    func findsItself(metric: Metric, quantization: Quantization) throws {
        let data = ClusteredVectors(count: 2000, dimensions: 16, seed: 8)
        let index = try data.lists(metric, .init(quantization: quantization))
        var missed = 0
        for (number, vector) in data.vectors.enumerated() {
            let found = try index.search(vector, limit: 1, accuracy: .effort(8))
            if found.first?.id != UInt64(number) { missed += 1 }
        }
        #expect(missed <= 40, "\(missed) of 2000")
    }

    @Test(arguments: Metric.allCases, IVFIndex.quantizations)
    func allTheSame(metric: Metric, quantization: Quantization) throws {
        for component in [0, 1, -3.5] as [Float] {
            let vector = [Float](repeating: component, count: 5)
            let index = try IVFIndex.of(
                Array(repeating: vector, count: 300), dimensions: 5, metric,
                .init(quantization: quantization))
            let found = try index.search(vector, limit: 7)
            // Codes that are all the same have an order by place.
            #expect(found.count == 7 && isSorted(found))
            let expected: Float =
                switch metric {
                case .l2: 0
                case .innerProduct: -5 * component * component
                case .cosine: component == 0 ? 1 : 0
                }
            #expect(abs(found[0].distance - expected) < 1e-5, "\(found[0].distance)")
            #expect(try index.search(vector, limit: 400).count == 300)
        }
    }

    /// Components of very different size, and as large as they can be.
    @Test(arguments: Metric.allCases, IVFIndex.quantizations)
    func extremeComponents(metric: Metric, quantization: Quantization) throws {
        var random = SeededGenerator(seed: 10)
        let scales: [Float] = [3e38, 1e-38, 1, .leastNonzeroMagnitude, 1e19, 0]
        let vectors = (0..<400).map { _ in
            zip(scales, random.vector(6)).map { $0 * $1 }
        }
        let index = try IVFIndex.of(
            vectors, dimensions: 6, metric, .init(quantization: quantization))
        for vector in vectors.prefix(40) {
            let found = try index.search(vector, limit: 10)
            #expect(found.count == 10)
            #expect(found.allSatisfy { !$0.distance.isNaN })
        }
    }

    @Test(arguments: IVFIndex.quantizations)
    func aBatchIsItsQueries(quantization: Quantization) throws {
        let data = ClusteredVectors(count: 900, queries: 25, dimensions: 33, seed: 11)
        let index = try data.lists(.cosine, .init(quantization: quantization))
        let batch = Array(data.queries.joined())
        for plan in [
            IVFPlan.lists(probes: 3, refined: 9), .lists(probes: 40, refined: 50), .exact,
        ] {
            let found = try index.search(batch: batch, limit: 9, plan: plan)
            for (query, neighbors) in zip(data.queries, found) {
                #expect(try index.search(batch: query, limit: 9, plan: plan) == [neighbors])
            }
        }
        #expect(try index.search(batch: [Float]().span, limit: 9).isEmpty)
    }

    @Test func manyThreadsSearchAtOnce() async throws {
        let data = ClusteredVectors(count: 2000, dimensions: 20, seed: 12)
        let index = try data.lists(.l2, .init(quantization: .pq4))
        let expected = try data.queries.map {
            try index.search($0, limit: 10, accuracy: .effort(16))
        }
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    for (effort, limit) in [(1, 3), (16, 10), (500, 700), (16, 10)] {
                        let found = try data.queries.map {
                            try index.search($0, limit: limit, accuracy: .effort(effort))
                        }
                        if effort == 16, found != expected { return false }
                    }
                    return true
                }
            }
            for try await isEqual in group { #expect(isEqual) }
        }
    }

    @Test func refusesWhatMakesNoSense() throws {
        let data = ClusteredVectors(count: 50, queries: 1, dimensions: 4, seed: 13)
        let index = try data.lists(.l2)
        let query = data.queries[0]
        expectError(.invalidLimit, mentions: "found 0") { () throws(VectorError) in
            _ = try index.search(query, limit: 0)
        }
        for effort in [0, -1, 1_000_001] {
            expectError(.invalidEffort, mentions: "found \(effort)") { () throws(VectorError) in
                _ = try index.search(query, limit: 1, accuracy: .effort(effort))
            }
        }
        expectError(.wrongDimensions, mentions: "expected 4") { () throws(VectorError) in
            _ = try index.search([1, 2, 3], limit: 1)
        }
        expectError(.notFinite, mentions: "nan") { () throws(VectorError) in
            _ = try index.search([1, 2, 3, .nan], limit: 1)
        }
        expectError(.notFinite, mentions: "query 1") { () throws(VectorError) in
            _ = try index.search(batch: [1, 2, 3, 4, 1, 2, 3, .infinity].span, limit: 1)
        }
    }
}
