import CCordwoodKernels
import TestSupport
import Testing

@testable import CordwoodVectors

@Suite struct GraphRepairTests {
    /// Whatever edges a graph has lost, every node is reached afterwards and no list is too long.
    @Test(arguments: [1, 2, 8])
    func everyNodeIsReachedAfterwards(degree: Int) throws {
        for seed in seeds(30) {
            var random = SeededGenerator(seed: seed)
            let count = Int.random(in: 2...120, using: &random)
            let data = ClusteredVectors(count: count, queries: 1, dimensions: 3, seed: seed)
            let floats = data.vectors.flatMap { $0 }
            let graph = try Graph(GraphShape(counts: [count], degree: degree))
            // Random edges, and many nodes without any that leads to them.
            let edges = graph.level(0).edges!
            for node in 0..<count {
                for place in 0..<Int.random(in: 0...degree, using: &random) {
                    let target = Int.random(in: 0..<max(1, count / 3), using: &random)
                    edges[node * degree + place] = UInt32(target)
                }
            }
            try floats.withUnsafeBufferPointer { floats in
                let base = floats.baseAddress!
                let quantizer = ScalarQuantizer(
                    bits: 8, metric: .l2, dimensions: 3, rows: base, stride: 3, count: count)
                let source = NodeSource(
                    rows: base, dimensions: 3, rowCount: count,
                    rowOfNode: (0..<UInt32(count)).map { $0 },
                    threads: 1)
                let rows = try source.encoded(by: quantizer)
                var repair = GraphRepair(graph, rows: rows.kernel, ef: 8)
                let outOfReach = repair.run()
                var open = [0]
                var reached: Set = [0]
                while let node = open.popLast() {
                    for next in graph.neighbors(of: node) where reached.insert(next).inserted {
                        open.append(next)
                    }
                }
                #expect(reached.count == count, "seed \(seed)")
                var again = GraphRepair(graph, rows: rows.kernel, ef: 8)
                #expect(again.run() == 0)
                #expect(count < 30 || outOfReach > 0)
            }
        }
    }
}
