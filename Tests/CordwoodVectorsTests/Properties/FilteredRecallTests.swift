import TestSupport
import Testing

@testable import CordwoodVectors

@Suite struct FilteredRecallTests {
    /// How the vectors that are allowed lie to the query.
    enum Relation: CaseIterable {
        /// Anywhere.
        case independent
        /// The nearest ones.
        case correlated
        /// The farthest ones, so that all that a search meets first is forbidden.
        case anticorrelated
    }

    /// From one vector in a thousand to nine in ten: as many of the nearest as are there, and recall does
    /// not starve. What is planned for a million vectors of which so many are allowed must keep to that
    /// too, on the few that a test has.
    @Test(
        arguments: KindOfIndex.all.filter { $0.kept != .none },
        [RecallData.Shape.directions, .bytes])
    func doesNotStarve(kind: KindOfIndex, shape: RecallData.Shape) async throws {
        let data = try RecallData.of(shape)
        let index = try await data.index(kind)
        var random = SeededGenerator(seed: 2)
        for share in [0.001, 0.01, 0.1, 0.5, 0.9] {
            let allowedCount = Int(share * Double(RecallData.count))
            for relation in Relation.allCases {
                var allowed: [Set<UInt64>] = []
                var found: [[Neighbor]] = []
                var planned: [[Neighbor]] = []
                for (query, ranking) in zip(data.queries, data.rankings).prefix(6) {
                    let ids =
                        switch relation {
                        case .independent: ranking.shuffled(using: &random).prefix(allowedCount)
                        case .correlated: ranking.prefix(allowedCount)
                        case .anticorrelated: ranking.suffix(allowedCount)
                        }
                    allowed.append(Set(ids.map(\.id)))
                    let places = index.places(where: allowed.last!.contains)
                    found.append(
                        try index.found(query, 10, .effort(kind.effort), allowing: places))
                    planned.append(
                        try kind.foundAsAmongAMillion(index, query, share: share, places)
                            ?? found.last!)
                    for found in [found.last!, planned.last!] {
                        #expect(
                            found.count == min(10, allowedCount) && isSorted(found)
                                && found.allSatisfy { allowed.last!.contains($0.id) },
                            "\(share), \(relation)")
                    }
                }
                for (what, found) in [("searched", found), ("planned", planned)] {
                    let recall = data.recall(found) { allowed[$0].contains($1) }
                    #expect(
                        recall >= kind.filteredFloor(relation),
                        "\(what), \(share), \(relation): \(recall)")
                }
            }
        }
    }
}

extension KindOfIndex {
    /// A usual one.
    fileprivate var effort: Int { isLists ? 12 : 60 }

    /// What recall is at least under a filter. Far away, hundreds are as near as the nearest, for a quarter
    /// of a byte to a component.
    fileprivate func filteredFloor(_ relation: FilteredRecallTests.Relation) -> Double {
        isLists && [.pq4, .pq8].contains(quantization) && relation == .anticorrelated ? 0.75 : 0.95
    }

    /// The ten nearest by the plan that is made where `share` of a million vectors is allowed; nil for kinds
    /// that make none.
    fileprivate func foundAsAmongAMillion(
        _ index: any VectorIndex, _ query: [Float], share: Double, _ allowed: VectorBitmap
    ) throws -> [Neighbor]? {
        let million = 1_000_000
        let allowedCount = Int(share * Double(million))
        switch index {
        case let index as HNSWIndex:
            let plan = SearchPlan(
                ef: effort, limit: 10, quantization, index.costs, allowed: allowedCount,
                count: million, queries: 1)
            return try index.search(batch: query, limit: 10, plan: plan, allowing: allowed)[0]
        case let index as DiskIndex:
            let plan = DiskPlan(ef: effort, limit: 10, allowed: allowedCount, count: million)
            return try index.search(query, limit: 10, plan: plan, allowing: allowed)
        case let index as IVFIndex:
            let plan = IVFPlan(
                probes: effort, limit: 10, lists: 24, count: million, allowed: allowedCount,
                codeBytes: 4, vectorBytes: 4 * index.dimensions, hasExactRows: true, quantization)
            return try index.search(batch: query, limit: 10, plan: plan, allowing: allowed)[0]
        default: return nil
        }
    }
}
