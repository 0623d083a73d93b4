import TestSupport
import Testing

@testable import CordwoodVectors

@Suite struct PageOrderTests {
    /// Every node has one place, whatever the graph is like.
    @Test(arguments: 0..<20 as Range<UInt64>)
    func isAPermutation(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let count = Int.random(in: 1...300, using: &random)
        let degree = Int.random(in: 1...9, using: &random)
        let perBlock = Int.random(in: 1...12, using: &random)
        let edges = (0..<count * degree).map { _ in
            Bool.random(using: &random)
                ? noNode : UInt32.random(in: 0..<UInt32(count), using: &random)
        }
        let order = PageOrder(edges, degree: degree, count: count, perBlock: perBlock)
        #expect(order.nodes.sorted() == Array(0..<UInt32(count)), "seed \(seed)")
    }

    /// Nodes of groups that are joined among themselves share blocks.
    @Test func neighborsShareBlocks() {
        let groups = 40
        // Node n is of group n % groups.
        let edges = (0..<groups * 5).flatMap { node in
            (1...4).map { UInt32((node + $0 * groups) % (groups * 5)) }
        }
        let order = PageOrder(edges, degree: 4, count: groups * 5, perBlock: 5)
        for block in 0..<groups {
            let nodes = order.nodes[block * 5..<block * 5 + 5]
            #expect(Set(nodes.map { $0 % UInt32(groups) }).count == 1)
        }
    }
}
