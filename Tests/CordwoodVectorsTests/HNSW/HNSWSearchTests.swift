import TestSupport
import Testing

@testable import CordwoodVectors

@Suite struct HNSWSearchTests {
    private static let quantizations = HNSWConfiguration.quantizations

    /// By codes alone, distances are near to the truth, and results what such distances allow.
    @Test(arguments: Metric.allCases, [Quantization.sq8, .sq4])
    func withoutVectorsDistancesAreThoseOfCodes(
        metric: Metric, quantization: Quantization
    ) throws {
        let data = ClusteredVectors(count: 1200, dimensions: 40, seed: 5)
        let index = try data.index(
            metric, .init(quantization: quantization, reranking: .none))
        let whole = try data.index(metric, .init(quantization: quantization))
        #expect(index.bytesAllocated + 1200 * 40 * 4 == whole.bytesAllocated)
        let flat = try data.flatIndex(metric)
        let reference = Reference(metric: metric)
        let expected = try data.queries.map { try flat.search($0, limit: 10) }
        let found = try data.queries.map { try index.search($0, limit: 10) }
        var hits = 0
        for (query, (found, expected)) in zip(data.queries, zip(found, expected)) {
            #expect(isSorted(found) && found.count == 10)
            hits += Set(found.map(\.id)).intersection(expected.map(\.id)).count
            let exact = reference.distance(query, data.vectors[Int(found[0].id)])
            let error = abs(Double(found[0].distance) - exact)
            #expect(error < (quantization == .sq8 ? 0.02 : 0.4) * max(1, abs(exact)), "\(error)")
        }
        let share = Double(hits) / Double(10 * data.queries.count)
        #expect(share > (quantization == .sq8 ? 0.9 : 0.5), "\(share)")
    }

    /// Halves find what floats find, nearly, and take half the memory.
    @Test(arguments: Metric.allCases, [Quantization.sq8, .sq4])
    func halvesAreNearlyAsGoodAsFloats(metric: Metric, quantization: Quantization) throws {
        let data = ClusteredVectors(count: 1200, dimensions: 40, seed: 8)
        let index = try data.index(metric, .init(quantization: quantization, reranking: .f16))
        let whole = try data.index(metric, .init(quantization: quantization))
        #expect(index.configuration.reranking == .f16)
        #expect(index.bytesAllocated + 1200 * 40 * 2 == whole.bytesAllocated)
        let reference = Reference(metric: metric)
        for accuracy in [SearchAccuracy.exact, .effort(100)] {
            let found = try data.queries.map {
                try index.search($0, limit: 10, accuracy: accuracy)
            }
            let expected = try data.queries.map {
                try whole.search($0, limit: 10, accuracy: accuracy)
            }
            var same = 0
            for (query, (found, expected)) in zip(data.queries, zip(found, expected)) {
                #expect(isSorted(found) && found.count == 10)
                same += Set(found.map(\.id)).intersection(expected.map(\.id)).count
                for neighbor in found {
                    let exact = reference.distance(query, data.vectors[Int(neighbor.id)])
                    let error = abs(Double(neighbor.distance) - exact)
                    #expect(error < 0.002 * max(1, abs(exact)), "\(error) of \(exact)")
                }
            }
            #expect(same >= 10 * data.queries.count * 97 / 100, "\(same), \(accuracy)")
        }
    }

    /// One vector that halves cannot hold keeps all of them floats, and the index says so.
    @Test(arguments: [[7e4, 1, 1], [-65_520, 0, 0], [1e-7, 1e-7, 1e-8]] as [[Float]])
    func whatHalvesCannotHoldStaysFloats(vector: [Float]) throws {
        var vectors = (0..<50).map { [Float($0), 1, 2] }
        let asHalves = HNSWConfiguration(reranking: .f16)
        let held = try HNSWIndex.of(vectors + [[65_504, 0.5, 0]], dimensions: 3, .l2, asHalves)
        #expect(held.configuration.reranking == .f16)
        #expect(try held.search([65_504, 0.5, 0], limit: 1)[0] == Neighbor(id: 50, distance: 0))
        vectors.append(vector)
        let index = try HNSWIndex.of(vectors, dimensions: 3, .l2, asHalves, threads: 2)
        #expect(index.configuration.reranking == .f32)
        #expect(try index.search(vector, limit: 1)[0] == Neighbor(id: 50, distance: 0))
        // At unit length, halves hold it.
        let units = try HNSWIndex.of(vectors, dimensions: 3, .cosine, asHalves)
        #expect(units.configuration.reranking == .f16)
    }

    /// Equal vectors share a node, and are all found, by the smaller id first.
    @Test(arguments: Metric.allCases, quantizations)
    func equalVectorsAreAllFound(metric: Metric, quantization: Quantization) throws {
        let few = ClusteredVectors(count: 30, queries: 1, dimensions: 12, seed: 9)
        let vectors = (0..<900).map { few.vectors[$0 % 30] }
        let index = try HNSWIndex.of(
            vectors, dimensions: 12, metric, .init(quantization: quantization))
        #expect(index.count == 900 && index.nodeCount == 30)
        let found = try index.search(few.vectors[3], limit: 30, accuracy: .effort(30))
        if metric != .innerProduct {
            #expect(found.map(\.id) == (0..<30).map { UInt64(30 * $0 + 3) })
        }
        #expect(try index.search(few.vectors[3], limit: 2000).count == 900)
    }

    @Test func aBatchIsItsQueries() throws {
        let data = ClusteredVectors(count: 900, queries: 25, dimensions: 33, seed: 11)
        for quantization in Self.quantizations {
            let index = try data.index(.cosine, .init(quantization: quantization))
            let batch = Array(data.queries.joined())
            for plan in [
                SearchPlan.walk(ef: 30, refined: 18, detours: 0), .scan(refined: 20), .exact,
            ] {
                let found = try index.search(
                    batch: batch, limit: 9, plan: plan, allowing: nil)
                for (query, neighbors) in zip(data.queries, found) {
                    let alone = try index.search(
                        batch: query, limit: 9, plan: plan, allowing: nil)
                    #expect(alone == [neighbors])
                }
            }
            #expect(try index.search(batch: [Float]().span, limit: 9).isEmpty)
        }
    }

    @Test func manyThreadsSearchAtOnce() async throws {
        let data = ClusteredVectors(count: 2000, dimensions: 20, seed: 12)
        let index = try data.index(.l2)
        let expected = try data.queries.map { try index.search($0, limit: 10) }
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    for effort in [10, 300, 100, 2000, 100] {
                        let found = try data.queries.map {
                            try index.search($0, limit: 10, accuracy: .effort(effort))
                        }
                        if effort == 100, found != expected { return false }
                    }
                    return true
                }
            }
            for try await isEqual in group { #expect(isEqual) }
        }
    }

    @Test func saysWhatItRead() throws {
        let data = ClusteredVectors(count: 2000, queries: 3, dimensions: 20, seed: 14)
        let index = try data.index(.l2, .init(neighbors: 8, quantization: .sq8))
        func read(_ accuracy: SearchAccuracy) throws -> HNSWSearchStatistics {
            var statistics = HNSWSearchStatistics()
            let batch = Array(data.queries.joined())
            _ = try index.search(
                batch: batch.span, limit: 10, accuracy: accuracy, allowing: nil,
                statistics: &statistics)
            return statistics
        }
        let walked = try read(.effort(20))
        // Each of the nearest 20 was followed, and none was compared twice.
        #expect((3 * 20..<3 * 80).contains(walked.lists.count))
        #expect((3 * 60..<3 * 2000).contains(walked.rows.count))
        #expect(walked.vectors.count == 3 * 20)
        #expect(walked.lists.bytes == walked.lists.count * 2 * 8 * 4)
        #expect(walked.rows.bytes % walked.rows.count == 0)
        #expect(walked.rows.bytes >= walked.rows.count * 20)
        #expect(walked.vectors.bytes == walked.vectors.count * 80)
        #expect(try read(.effort(20)) == walked)
        #expect(try read(.effort(30)).rows.count > walked.rows.count)
        let exact = try read(.exact)
        #expect(exact.lists.count == 0 && exact.rows.count == 0)
        #expect(exact.vectors.count == 3 * 2000)
    }
}
