import TestSupport
import Testing

@testable import CordwoodVectors

@Suite struct IVFSearchTests {
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
}
