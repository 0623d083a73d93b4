import TestSupport
import Testing

@testable import CordwoodVectors

@Suite struct IVFFilterTests {
    /// How the vectors that are allowed lie to the query: anywhere, the nearest ones, or the farthest, so
    /// that the lists that are read first have none.
    enum Relation: CaseIterable { case independent, correlated, anticorrelated }

    /// Under every filter: only what is allowed, as many as there are or are asked for, and the nearest
    /// of them.
    @Test(arguments: Relation.allCases, IVFIndex.quantizations)
    func findsTheNearestThatAreAllowed(relation: Relation, quantization: Quantization) throws {
        let data = ClusteredVectors(count: 2000, queries: 4, dimensions: 16, seed: 1)
        let index = try data.lists(.l2, .init(quantization: quantization))
        let flat = try data.flatIndex(.l2)
        let places = Dictionary(
            uniqueKeysWithValues: (0..<index.count).map { (index.id(at: $0), $0) })
        var random = SeededGenerator(seed: 2)
        for share in [0.001, 0.01, 0.1, 0.5, 0.9] {
            var found: [[Neighbor]] = []
            var expected: [[Neighbor]] = []
            for query in data.queries {
                let ranking = try flat.search(query, limit: 2000)
                let count = max(1, Int(share * 2000))
                let ids =
                    switch relation {
                    case .independent:
                        ranking.shuffled(using: &random).prefix(count).map(\.id)
                    case .correlated: ranking.prefix(count).map(\.id)
                    case .anticorrelated: ranking.suffix(count).map(\.id)
                    }
                var allowed = VectorBitmap(count: 2000)
                for id in ids { allowed[places[id]!] = true }
                let isAllowed = { (id: UInt64) in allowed[places[id]!] }
                let nearest = Array(ranking.lazy.filter { isAllowed($0.id) }.prefix(10))
                for plan in [
                    IVFPlan.lists(probes: 1, refined: 10), .lists(probes: 20, refined: 80), .exact,
                ] {
                    let neighbors = try index.search(
                        batch: query, limit: 10, plan: plan, allowing: allowed)[0]
                    #expect(neighbors.count == min(10, count), "\(plan)")
                    #expect(neighbors.allSatisfy { isAllowed($0.id) } && isSorted(neighbors))
                    if plan == .exact {
                        #expect(neighbors.map(\.id) == nearest.map(\.id))
                    }
                }
                found.append(
                    try index.search(query, limit: 10, accuracy: .effort(60), allowing: allowed))
                expected.append(nearest)
            }
            let recall = recall(found, expected)
            // Far away, hundreds are as near as the nearest, for a quarter of a byte to a component.
            let isHard = relation == .anticorrelated && [.pq4, .pq8].contains(quantization)
            #expect(
                recall > (isHard ? 0.75 : 0.9), "\(relation), \(share) of the vectors: \(recall)")
        }
    }

    /// What is deleted is never returned, and all others still are.
    @Test(arguments: IVFIndex.quantizations)
    func deletedVectorsAreNotReturned(quantization: Quantization) throws {
        let data = ClusteredVectors(count: 700, queries: 10, dimensions: 8, seed: 3)
        let index = try data.lists(.cosine, .init(quantization: quantization))
        var live = VectorBitmap(count: 700, repeating: true)
        for place in 0..<700 where index.id(at: place) % 3 != 0 { live[place] = false }
        for query in data.queries {
            for accuracy in [SearchAccuracy.effort(1), .effort(30), .exact] {
                let found = try index.search(
                    query, limit: 700, accuracy: accuracy, allowing: live)
                #expect(Set(found.map(\.id)) == Set((0..<234).map { UInt64(3 * $0) }))
            }
        }
        let none = VectorBitmap(count: 700)
        #expect(try index.search(data.queries[0], limit: 5, allowing: none).isEmpty)
    }

    /// The cheaper of reading lists and comparing all that are allowed is chosen.
    @Test func choosesWhatIsLess() {
        func plan(_ probes: Int?, allowed: Int, hasExactRows: Bool = true) -> IVFPlan {
            IVFPlan(
                probes: probes, limit: 10, lists: 1000, count: 100_000, allowed: allowed,
                codeBytes: 32, vectorBytes: 512, hasExactRows: hasExactRows, .pq4)
        }
        #expect(plan(nil, allowed: 100_000) == .exact)
        #expect(plan(20, allowed: 50) == .exact)
        guard case .lists(20, _) = plan(20, allowed: 100_000),
            case .lists(20, _) = plan(20, allowed: 50_000),
            case .lists = plan(nil, allowed: 10, hasExactRows: false),
            case .lists(20, _) = plan(20, allowed: 50, hasExactRows: false)
        else {
            Issue.record("expected lists to be read")
            return
        }
    }
}
