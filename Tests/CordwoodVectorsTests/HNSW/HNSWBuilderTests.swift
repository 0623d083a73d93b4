import CCordwoodKernels
import TestSupport
import Testing

@testable import CordwoodVectors

@Suite struct HNSWBuilderTests {
    private func edges(_ index: HNSWIndex) -> [[[Int]]] {
        guard let graph = index.parts?.graph else { return [] }
        return (0..<graph.levelCount).map { level in
            (0..<Int(graph.level(level).count)).map { graph.neighbors(of: $0, level: level) }
        }
    }

    /// The same bytes for the same seed, with any number of threads; others for another seed.
    @Test(arguments: Metric.allCases)
    func buildsTheSameWithAnyNumberOfThreads(metric: Metric) throws {
        let data = ClusteredVectors(count: 3000, queries: 1, dimensions: 10, seed: 1)
        let index = try data.index(metric, threads: 1)
        for threads in [2, 3, 8] {
            let other = try data.index(metric, threads: threads)
            #expect(edges(other) == edges(index), "\(threads) threads")
            #expect((0..<3000).map(other.id(at:)) == (0..<3000).map(index.id(at:)))
        }
        let other = try data.index(metric, .init(seed: 1), threads: 2)
        #expect(edges(other) != edges(index))
    }

    /// Every node can be reached, no list is longer than it may be, and none leads to its own node.
    @Test(arguments: Metric.allCases, [2, 5, 16])
    func everyNodeIsReached(metric: Metric, neighbors: Int) throws {
        for seed in seeds(4) {
            let data = ClusteredVectors(count: 1200, queries: 1, dimensions: 4, seed: seed)
            let index = try data.index(
                metric, .init(neighbors: neighbors, efConstruction: 20, quantization: .sq8))
            let levels = edges(index)
            for (level, lists) in levels.enumerated() {
                let most = level == 0 ? 2 * neighbors : neighbors
                for (node, list) in lists.enumerated() {
                    #expect(list.count <= most && Set(list).count == list.count)
                    #expect(!list.contains(node) && list.allSatisfy { $0 < lists.count })
                }
            }
            var open = [0]
            var reached: Set = [0]
            while let node = open.popLast() {
                for next in levels[0][node] where reached.insert(next).inserted {
                    open.append(next)
                }
            }
            #expect(reached.count == index.nodeCount, "seed \(seed)")
        }
    }

    /// Vectors that come sorted, as a file often has them, are found as those that do not.
    @Test func theOrderOfVectorsDoesNotMatter() throws {
        let data = ClusteredVectors(count: 3000, dimensions: 12, seed: 2)
        let sorted = data.vectors.sorted { $0[0] < $1[0] }
        let index = try HNSWIndex.of(sorted, dimensions: 12, .l2)
        let flat = try data.flatIndex(.l2)
        let found = try data.queries.map { try index.search($0, limit: 10) }
        let expected = try data.queries.map { try flat.search($0, limit: 10) }
        #expect(recall(found, expected) > 0.97)
    }

    @Test func progressIsTold() throws {
        let data = ClusteredVectors(count: 2000, queries: 1, dimensions: 4, seed: 3)
        var builder = try HNSWBuilder(dimensions: 4, metric: .l2)
        for (number, vector) in data.vectors.enumerated() {
            try builder.append(id: UInt64(number), vector: vector.span)
        }
        let told = Told()
        let index = try builder.build(threads: 2) { told.counts.append($0) }
        #expect(told.counts == told.counts.sorted() && told.counts.last == index.nodeCount)
        #expect(told.counts.count > 20)
    }

    /// Written by one thread at a time, as the builder says.
    private final class Told: @unchecked Sendable {
        var counts: [Int] = []
    }

    @Test func refusesWhatMakesNoSense() throws {
        expectError(.invalidDimensions, mentions: "found 0") { () throws(VectorError) in
            _ = try HNSWBuilder(dimensions: 0, metric: .l2)
        }
        for (configuration, words) in [
            (HNSWConfiguration(neighbors: 1), "neighbors: expected 2 to 128, found 1"),
            (HNSWConfiguration(neighbors: 129), "found 129"),
            (HNSWConfiguration(efConstruction: 5000), "efConstruction: expected 8 to 4096"),
            (HNSWConfiguration(neighbors: 64, efConstruction: 32), "expected at least 64"),
        ] {
            expectError(.invalidConfiguration, mentions: words) { () throws(VectorError) in
                _ = try HNSWBuilder(dimensions: 3, metric: .l2, configuration: configuration)
            }
        }
        var builder = try HNSWBuilder(dimensions: 2, metric: .l2)
        try builder.append(id: 7, vector: [1, 2].span)
        #expect(throws: VectorError.self) { try builder.append(id: 8, vector: [1].span) }
        #expect(throws: VectorError.self) { try builder.append(id: 8, vector: [1, .nan].span) }
        #expect(builder.count == 1)
        try builder.append(id: 7, vector: [3, 4].span)
        do throws(VectorError) {
            _ = try builder.build()
            Issue.record("an id came twice")
        } catch { #expect(error.code == .duplicateID) }
    }

    @Test(arguments: [1, 2, 15, 16, 17, 31, 64, 65, 200, 1024, 4096])
    func everyNumberOfDimensions(dimensions: Int) throws {
        let data = ClusteredVectors(count: 120, queries: 3, dimensions: dimensions, seed: 4)
        for quantization in HNSWConfiguration.quantizations {
            let index = try data.index(.l2, .init(quantization: quantization))
            let flat = try data.flatIndex(.l2)
            for query in data.queries {
                let found = try index.search(query, limit: 5, accuracy: .effort(120))
                #expect(recall([found], [try flat.search(query, limit: 5)]) == 1)
            }
        }
    }
}
