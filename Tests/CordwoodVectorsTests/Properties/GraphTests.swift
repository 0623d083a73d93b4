import CCordwoodKernels
import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodVectors

/// The edges of graphs in memory and on disk.
@Suite struct GraphTests {
    /// Every node can be reached, no list is longer than it may be, and none leads to its own node, twice to
    /// another, or out of its level.
    @Test(arguments: KindOfIndex.graphs, Metric.allCases)
    func everyNodeIsReachedByFewEdges(kind: KindOfIndex, metric: Metric) async throws {
        guard case .graph(var configuration) = kind.structure else { return }
        for neighbors in [2, 5, 16] {
            let data = ClusteredVectors(
                count: 500, queries: 1, dimensions: 4, seed: UInt64(neighbors))
            (configuration.neighbors, configuration.efConstruction) = (neighbors, 20)
            let index = try data.index(metric, configuration)
            let graph = try #require(index.parts?.graph)
            for level in 0..<graph.levelCount {
                let count = Int(graph.level(level).count)
                let lists = (0..<count).map { graph.neighbors(of: $0, level: level) }
                expectSound(lists, degree: level == 0 ? 2 * neighbors : neighbors)
                if level == 0 {
                    #expect(count == index.nodeCount && reached(lists, from: [0]) == count)
                }
            }
        }
    }

    /// As above, by the records of the pages, from any node that searches begin at.
    @Test(arguments: Metric.allCases, [4, 12, 48])
    func everyNodeOnDiskIsReachedByFewEdges(metric: Metric, degree: Int) async throws {
        let data = ClusteredVectors(count: 700, queries: 1, dimensions: 4, seed: 6)
        let storage = SimulatedStorage(seed: 1)
        let index = try await DiskIndex.of(
            data.vectors + data.vectors.prefix(30), dimensions: 4, metric,
            .init(degree: degree, efConstruction: 24), on: storage)
        let parts = try #require(index.parts)
        let file = try await bytes(of: diskPath, on: storage)
        let lists = (0..<parts.layout.nodeCount).map { node in
            file.withUnsafeBytes { file in
                let (block, place) = node.quotientAndRemainder(
                    dividingBy: parts.layout.nodesPerBlock)
                let record =
                    parts.pagePosition + block * parts.layout.blockBytes + DiskLayout.headBytes
                    + place * parts.layout.nodeBytes
                return (0..<parts.layout.degree).map {
                    file.number(record + 16 + 4 * $0, UInt32.self)
                }
                .prefix { $0 != noNode }.map(Int.init)
            }
        }
        expectSound(lists, degree: degree)
        let starts = try #require(parts.navigation.nodes.pointer(to: UInt32.self))
        for start in [0, parts.navigation.nodes.count / 4 - 1] {
            #expect(reached(lists, from: [Int(starts[start])]) == index.nodeCount)
        }
    }

    private func expectSound(_ lists: [[Int]], degree: Int) {
        for (node, list) in lists.enumerated() {
            #expect(
                list.count <= degree && Set(list).count == list.count && !list.contains(node)
                    && list.allSatisfy { $0 < lists.count })
        }
    }

    /// How many nodes a walk can come to.
    private func reached(_ lists: [[Int]], from starts: [Int]) -> Int {
        var (open, reached) = (starts, Set(starts))
        while let node = open.popLast() {
            for next in lists[node] where reached.insert(next).inserted { open.append(next) }
        }
        return reached.count
    }
}
