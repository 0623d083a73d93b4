import TestSupport
import Testing

@testable import CordwoodVectors

@Suite struct HNSWFilterTests {
    /// How the vectors that are allowed lie to the query.
    enum Relation: CaseIterable {
        /// Anywhere.
        case independent
        /// The nearest ones.
        case correlated
        /// The farthest ones, so that all that a walk meets first is forbidden.
        case anticorrelated
    }

    private func filter(
        _ index: HNSWIndex, _ share: Double, _ relation: Relation, ranking: [UInt64],
        _ random: inout SeededGenerator
    ) -> VectorBitmap {
        let allowedCount = max(1, Int(share * Double(index.count)))
        var allowed = VectorBitmap(count: index.count)
        let ids: Set<UInt64> =
            switch relation {
            case .independent: Set(ranking.shuffled(using: &random).prefix(allowedCount))
            case .correlated: Set(ranking.prefix(allowedCount))
            case .anticorrelated: Set(ranking.suffix(allowedCount))
            }
        for place in 0..<index.count where ids.contains(index.id(at: place)) {
            allowed[place] = true
        }
        #expect(allowed.setCount == allowedCount)
        return allowed
    }

    /// Under every filter: only what is allowed, as many as there are or are asked for, and the nearest
    /// of them.
    @Test(arguments: Relation.allCases, HNSWConfiguration.quantizations)
    func findsTheNearestThatAreAllowed(relation: Relation, quantization: Quantization) throws {
        let data = ClusteredVectors(count: 4000, queries: 6, dimensions: 16, seed: 1)
        let index = try data.index(.l2, .init(neighbors: 8, quantization: quantization))
        let flat = try data.flatIndex(.l2)
        var random = SeededGenerator(seed: 2)
        for share in [0.001, 0.01, 0.1, 0.5, 0.9] {
            var found: [[Neighbor]] = []
            var expected: [[Neighbor]] = []
            for query in data.queries {
                let ranking = try flat.search(query, limit: 4000)
                let allowed = filter(
                    index, share, relation, ranking: ranking.map(\.id), &random)
                let places = Dictionary(
                    uniqueKeysWithValues: (0..<index.count).map { (index.id(at: $0), $0) })
                let isAllowed = { (id: UInt64) in allowed[places[id]!] }
                let nearest = Array(ranking.lazy.filter { isAllowed($0.id) }.prefix(10))
                for plan in [
                    SearchPlan.walk(ef: 60, refined: 40, detours: 0),
                    .walk(ef: 600, refined: 40, detours: 0),
                    .walk(ef: 60, refined: 40, detours: 1),
                    .walk(ef: 120, refined: 40, detours: 16),
                    .scan(refined: 60), .exact,
                ] {
                    let neighbors = try index.search(
                        batch: query, limit: 10, plan: plan, allowing: allowed)[0]
                    #expect(neighbors.count == min(10, allowed.setCount), "\(plan)")
                    #expect(neighbors.allSatisfy { isAllowed($0.id) } && isSorted(neighbors))
                    if plan == .exact {
                        #expect(neighbors.map(\.id) == nearest.map(\.id))
                    }
                }
                found.append(
                    try index.search(
                        query.span, limit: 10, accuracy: .effort(60), allowing: allowed))
                expected.append(nearest)
            }
            let recall = recall(found, expected)
            // Far away, hundreds are as near as the nearest, for 4 bits.
            let isHard = relation == .anticorrelated && quantization == .sq4
            #expect(
                recall > (isHard ? 0.75 : 0.95), "\(relation), \(share) of the vectors: \(recall)")
        }
    }

    @Test func plansByWhatIsLess() {
        func plan(
            _ ef: Int, allowed: Int, of count: Int, limit: Int = 10, rowBytes: Int = 128
        ) -> SearchPlan {
            SearchPlan(
                ef: ef, limit: limit, .sq8, SearchCosts(degree: 32, rowBytes: rowBytes),
                allowed: allowed, count: count)
        }
        func walk(_ ef: Int, _ detours: Int) -> SearchPlan {
            .walk(ef: ef, refined: 20, detours: detours)
        }
        let million = 1_000_000
        #expect(plan(64, allowed: million, of: million) == walk(64, 0))
        #expect(plan(64, allowed: 900_000, of: million) == walk(70, 0))
        #expect(plan(64, allowed: 100_000, of: million) == walk(128, 10))
        // Too few are left for a node's neighbours' neighbours to be among them.
        #expect(plan(64, allowed: 300_000, of: 100 * million) == walk(6676, 0))
        #expect(plan(64, allowed: 1000, of: million) == .scan(refined: 128))
        #expect(plan(64, allowed: 1000, of: 1000) == .scan(refined: 128))
        #expect(plan(64, allowed: 100, of: 100) == .scan(refined: 128))
        #expect(plan(1, allowed: 1, of: 1, limit: 65_536) == .exact)
        #expect(plan(1, allowed: 0, of: 1) == .scan(refined: 20))
    }

    @Test func bitsAreKept() {
        for count in [0, 1, 63, 64, 65, 1000] {
            var random = SeededGenerator(seed: UInt64(count))
            var bitmap = VectorBitmap(count: count)
            var model = [Bool](repeating: false, count: count)
            for _ in 0..<count {
                let place = Int.random(in: 0..<count, using: &random)
                let bit = random.next() % 2 == 0
                bitmap[place] = bit
                model[place] = bit
            }
            #expect((0..<count).map { bitmap[$0] } == model)
            #expect(bitmap.setCount == model.count { $0 })
            var full = VectorBitmap(count: count, repeating: true)
            #expect(full.setCount == count)
            for place in 0..<count { full[place] = false }
            #expect(full == VectorBitmap(count: count))
        }
    }
}
