import TestSupport
import Testing

@testable import CordwoodVectors

@Suite struct DiskFilterTests {
    /// Under every filter: only what is allowed, as many as there are or are asked for, and the nearest
    /// of them, whichever way they are looked for.
    @Test(arguments: [false, true])
    func findsTheNearestThatAreAllowed(hasEqualVectors: Bool) async throws {
        let data = ClusteredVectors(count: 1500, queries: 6, dimensions: 16, seed: 1)
        let vectors = data.vectors + (hasEqualVectors ? Array(data.vectors.prefix(200)) : [])
        let flat = try TestIndex(dimensions: 16, metric: .l2)
        for (id, vector) in vectors.enumerated() { try flat.upsert(UInt64(id), vector) }
        var random = SeededGenerator(seed: 2)
        try await DiskPlace.ring.withIndex(of: vectors, dimensions: 16, .l2) { index in
            let ids = (0..<index.count).map { index.id(at: $0) }
            for share in [0, 0.001, 0.01, 0.1, 0.5, 0.9] {
                var found: [[Neighbor]] = []
                var expected: [[Neighbor]] = []
                for query in data.queries {
                    let ranking = try flat.search(query, limit: vectors.count)
                    var allowed = VectorBitmap(count: index.count)
                    let allowedIDs = Set(
                        ids.shuffled(using: &random).prefix(Int(share * Double(ids.count))))
                    for (place, id) in ids.enumerated() where allowedIDs.contains(id) {
                        allowed[place] = true
                    }
                    let nearest = Array(
                        ranking.lazy.filter { allowedIDs.contains($0.id) }.prefix(10))
                    for plan in [
                        DiskPlan.walk(ef: 60), .walk(ef: 900), .scan(refined: 60), .exact,
                    ] {
                        let neighbors = try index.search(
                            query, limit: 10, plan: plan, allowing: allowed)
                        #expect(neighbors.count == min(10, allowed.setCount), "\(plan)")
                        #expect(
                            neighbors.allSatisfy { allowedIDs.contains($0.id) }
                                && isSorted(neighbors))
                        if plan == .exact || plan == .scan(refined: 60) {
                            #expect(neighbors == nearest, "\(plan), \(share)")
                        }
                    }
                    found.append(
                        try index.search(query, limit: 10, accuracy: .effort(60), allowing: allowed)
                    )
                    expected.append(nearest)
                }
                let recall = recall(found, expected)
                #expect(share == 0 || recall > 0.95, "\(share) of the vectors: \(recall)")
            }
        }
    }

    /// The less is allowed, the sooner all of it is looked at.
    @Test func thePlanFollowsTheShare() {
        #expect(
            DiskPlan(ef: 100, limit: 10, allowed: 1_000_000, count: 1_000_000) == .walk(ef: 100))
        #expect(DiskPlan(ef: 5, limit: 10, allowed: 1_000_000, count: 1_000_000) == .walk(ef: 10))
        #expect(DiskPlan(ef: 100, limit: 10, allowed: 500_000, count: 1_000_000) == .walk(ef: 251))
        #expect(
            DiskPlan(ef: 100, limit: 10, allowed: 1000, count: 1_000_000) == .scan(refined: 100))
        #expect(DiskPlan(ef: 20_000, limit: 10, allowed: 1000, count: 1_000_000) == .exact)
    }

    /// A walk that met too few sees more before all that is allowed is looked at.
    @Test func walksThatMeetTooFewSeeMore() {
        // Ten of thirteen that half of twenty-six are would be too few in one of twelve walks.
        #expect(
            DiskPlan(ef: 10, limit: 10, allowed: 500_000, count: 1_000_000) == .walk(ef: 32))
        #expect(
            DiskPlan.walk(ef: 32).wider(refined: 16, allowed: 500_000) == .walk(ef: 64))
        #expect(DiskPlan.walk(ef: 32).wider(refined: 16, allowed: 9000) == .scan(refined: 16))
        #expect(
            DiskPlan.walk(ef: 5000).wider(refined: 16, allowed: 10_000_000) == .scan(refined: 16))
        #expect(DiskPlan.scan(refined: 9).wider(refined: 16, allowed: 9) == .scan(refined: 16))
    }
}
