import TestSupport
import Testing

@testable import CordwoodVectors

@Suite struct NodeOrderTests {
    @Test func everyVectorHasItsNode() {
        for seed in seeds(20) {
            var random = SeededGenerator(seed: seed)
            let count = Int.random(in: 0...2000, using: &random)
            // Equal vectors point to the first of them.
            var representatives: [UInt32] = []
            for vector in 0..<UInt32(count) {
                let other = representatives.randomElement(using: &random) ?? vector
                representatives.append(random.next() % 4 == 0 ? other : vector)
            }
            let order = NodeOrder(representatives: representatives, neighbors: 4, seed: seed)
            #expect(order.vectors.sorted() == Array(0..<UInt32(count)))
            #expect(order.nodeCount == Set(representatives).count)
            for node in 0..<order.nodeCount {
                let vectors = order.vectors[Int(order.starts[node])..<Int(order.starts[node + 1])]
                #expect(vectors.first == vectors.min())
                #expect(Set(vectors.map { representatives[Int($0)] }).count == 1)
            }
            if order.nodeCount > 0 {
                #expect(order.levelCounts.first == order.nodeCount)
                #expect(
                    zip(order.levelCounts, order.levelCounts.dropFirst()).allSatisfy { $0 >= $1 })
            }
        }
    }

    @Test func oneInSoManyIsInTheNextLevel() {
        let order = NodeOrder(
            representatives: Array(0..<200_000), neighbors: 16, seed: 3)
        let counts = order.levelCounts.map(Double.init)
        #expect(abs(counts[0] / counts[1] - 16) < 1 && abs(counts[1] / counts[2] - 16) < 2)
        #expect(order.levelCounts.last.map { $0 > 1 } == true)
    }

    @Test func equalVectorsAreToldApartFromOthers() {
        var random = SeededGenerator(seed: 1)
        var rows: [[Float]] = (0..<500).map { _ in random.wholeVector(2) }
        rows += [[0, -0.0], [-0.0, 0], [0, 0]]
        let flat = rows.flatMap { $0 }
        let found = EqualVectors.representatives(
            flat, stride: 2, dimensions: 2, count: rows.count)
        for (row, first) in found.enumerated() {
            let expected = rows.firstIndex {
                $0.map(\.bitPattern) == rows[row].map(\.bitPattern)
            }
            #expect(Int(first) == expected)
        }
    }
}
