import TestSupport
import Testing

@testable import CordwoodVectors

@Suite struct RecallCalibrationTests {
    /// What was promised with held-out vectors is kept with queries that nobody had.
    @Test(arguments: [Metric.l2, .cosine], [Quantization.sq8, .sq4])
    func keepsWhatItPromises(metric: Metric, quantization: Quantization) throws {
        let data = ClusteredVectors(count: 6000, queries: 200, dimensions: 24, seed: 1)
        let index = try data.index(
            metric, .init(neighbors: 8, efConstruction: 60, quantization: quantization))
        let flat = try data.flatIndex(metric)
        let expected = try data.queries.map { try flat.search($0, limit: 10) }
        let points = index.calibration.points
        #expect(points.count > 2)
        #expect(zip(points, points.dropFirst()).allSatisfy { $0.ef < $1.ef })
        #expect(zip(points, points.dropFirst()).allSatisfy { $0.recall <= $1.recall })
        for promised in [0.8, 0.9, 0.95, 0.99] {
            guard let ef = index.calibration.effort(for: promised, limit: 10) else {
                #expect(promised > 0.9, "\(points)")
                continue
            }
            let found = try data.queries.map {
                try index.search($0, limit: 10, accuracy: .effort(ef))
            }
            #expect(recall(found, expected) > promised - 0.015, "\(promised): ef \(ef), \(points)")
        }
        // What a caller asks for is at least as good: small indexes are compared whole.
        let found = try data.queries.map {
            try index.search($0.span, limit: 10, accuracy: .recall(0.95))
        }
        #expect(recall(found, expected) > 0.94)
        let exact = try data.queries.map {
            try index.search($0.span, limit: 10, accuracy: .recall(1))
        }
        #expect(recall(exact, expected) == 1)
    }

    /// What is chosen is what an index has that was asked for it, at any number of threads.
    @Test func whatIsChosenIsWhatIsAskedFor() throws {
        let data = ClusteredVectors(count: 5000, queries: 40, dimensions: 12, seed: 3)
        func index(
            _ quantization: Quantization, _ reranking: Reranking, threads: Int = 1
        ) throws -> HNSWIndex {
            try HNSWIndex.of(
                data.vectors, dimensions: 12, .l2,
                .init(
                    neighbors: 8, efConstruction: 40, quantization: quantization,
                    reranking: reranking), threads: threads)
        }
        // Without vectors to compare the nearest again, 4 bits are too coarse.
        let coarse = try index(.auto, .none)
        #expect(coarse.configuration.quantization == .sq8)
        for reranking in [Reranking.none, .f32] {
            let chosen = try index(.auto, reranking, threads: 2)
            let asked = try index(chosen.configuration.quantization, reranking)
            #expect(chosen.configuration == asked.configuration)
            #expect(chosen.calibration.points == asked.calibration.points)
            for query in data.queries {
                let found = try chosen.search(query.span, limit: 10, accuracy: .effort(20))
                #expect(try found == asked.search(query.span, limit: 10, accuracy: .effort(20)))
            }
        }
        // Where nothing is measured the surer one is taken.
        let few = try HNSWIndex.of(
            Array(data.vectors.prefix(100)), dimensions: 12, .l2, .init(quantization: .auto))
        #expect(few.configuration.quantization == .sq8 && few.count == 100)
    }

    @Test func findsTheEffortBetweenTwo() {
        let calibration = RecallCalibration(points: [
            .init(ef: 10, recall: 0.8), .init(ef: 20, recall: 0.9), .init(ef: 40, recall: 0.9),
            .init(ef: 80, recall: 0.98),
        ])
        func effort(_ recall: Double, _ limit: Int = 10) -> Int? {
            calibration.effort(for: recall, limit: limit)
        }
        #expect(effort(0.5) == 10 && effort(0.8) == 10)
        #expect(effort(0.85) == 15 && effort(0.9) == 20)
        #expect(effort(0.94) == 60 && effort(0.98) == 80)
        #expect(effort(0.981) == nil)
        #expect(effort(0.9, 1) == 20 && effort(0.9, 40) == 40 && effort(0.9, 1000) == 200)
        #expect(effort(0.9, 25) == 32)
        func walk(_ limit: Int) -> Int? { calibration.walkEffort(for: 0.9, limit: limit) }
        #expect(walk(1) == 20 && walk(10) == 20 && walk(20) == 29 && walk(100) == 125)
        #expect(calibration.walkEffort(for: 0.981, limit: 100) == nil)
        #expect(RecallCalibration(points: []).effort(for: 0.1, limit: 1) == nil)
    }

    /// The lower of the farther half's mean and of all less one standard error, and never more than there is.
    @Test func promisesNoMoreThanTheWorseHalfFinds() {
        func promised(_ hits: [Int], _ farthest: [Float]? = nil) -> Double {
            RecallCalibration.promised(
                hits: hits, farthest: farthest ?? hits.indices.map { Float($0) })
        }
        #expect(promised([]) == 0 && promised([10]) == 0)
        #expect(promised([Int](repeating: 10, count: 256)) == 1)
        #expect(promised([Int](repeating: 0, count: 256)) == 0)
        // The far ones find 7 of 10 and the near ones all; by distance, not by place.
        #expect(abs(promised([10, 10, 10, 7, 7, 7]) - 0.7) < 1e-9)
        #expect(abs(promised([7, 10, 7, 10, 7, 10], [5, 1, 6, -2, 4, 0]) - 0.7) < 1e-9)
        // The near ones find less: all of them, with a mean of 0.9 and a deviation of 0.1 of 256.
        let near = (0..<256).map { $0 < 128 ? 8 : 10 }
        #expect(abs(promised(near) - (0.9 - 0.1 / 16)) < 0.0001)
    }

    @Test func smallIndexesHaveNone() throws {
        let data = ClusteredVectors(count: 500, queries: 1, dimensions: 4, seed: 2)
        let index = try data.index(.l2)
        #expect(index.calibration.points.isEmpty)
        #expect(try index.search(data.queries[0], limit: 3, accuracy: .recall(0.9)).count == 3)
        for recall in [0, -1, 1.1, .nan] {
            expectError(.invalidEffort, mentions: "recall above 0") { () throws(VectorError) in
                _ = try index.search(data.queries[0], limit: 3, accuracy: .recall(recall))
            }
        }
    }
}
