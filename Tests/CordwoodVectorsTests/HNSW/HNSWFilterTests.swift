import TestSupport
import Testing

@testable import CordwoodVectors

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

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
        for share in [0.001, 0.01, 0.1, 0.5, 0.9, 0.99] {
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
                let plans: [SearchPlan] = [
                    .walk(ef: 60, refined: 40, detours: 0),
                    .walk(ef: 600, refined: 40, detours: 0),
                    .walk(ef: 60, refined: 40, detours: 1),
                    .walk(ef: 120, refined: 40, detours: 16),
                    .scan(refined: 60), .exact,
                ]
                let shared: [SearchPlan] = [.sharedScan(refined: 60)]
                for plan in plans + (quantization == .none ? [] : shared) {
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

    /// Queries that share a scan find what each finds alone, to the bit, whatever the number of them and of
    /// the rows that are allowed.
    @Test(arguments: [Metric.l2, .cosine], [Quantization.sq8, .sq4])
    func aSharedScanFindsWhatOneByOneFind(metric: Metric, quantization: Quantization) throws {
        for (dimensions, count, reranking) in [
            (1, 70, Reranking.f32), (19, 700, .none), (66, 300, .none), (66, 300, .f16),
        ] {
            let data = ClusteredVectors(
                count: count, queries: 9, dimensions: dimensions, seed: 3)
            let index = try data.index(
                metric, .init(neighbors: 8, quantization: quantization, reranking: reranking))
            var random = SeededGenerator(seed: 4)
            for allowedCount in [1, 17, 64, count - 1, count] {
                var allowed: VectorBitmap? = VectorBitmap(count: count)
                for place in (0..<count).shuffled(using: &random).prefix(allowedCount) {
                    allowed?[place] = true
                }
                if allowedCount == count { allowed = nil }
                for queryCount in [1, 4, 9] {
                    let batch = data.queries.prefix(queryCount).flatMap { $0 }
                    let shared = try index.search(
                        batch: batch, limit: 10, plan: .sharedScan(refined: 24), allowing: allowed)
                    let alone = try index.search(
                        batch: batch, limit: 10, plan: .scan(refined: 24), allowing: allowed)
                    #expect(shared == alone, "\(dimensions) dimensions, \(allowedCount) allowed")
                    #expect(shared.allSatisfy { $0.count == min(10, allowedCount) })
                }
            }
        }
    }

    /// Each row is read once for all queries that share a scan.
    @Test func aSharedScanReadsRowsOnce() throws {
        let data = ClusteredVectors(count: 600, queries: 50, dimensions: 8, seed: 5)
        let index = try data.index(.l2, .init(neighbors: 8, quantization: .sq8))
        var allowed = VectorBitmap(count: 600)
        for place in stride(from: 0, to: 600, by: 2) { allowed[place] = true }
        var statistics = HNSWSearchStatistics()
        let batch = data.queries.flatMap { $0 }
        _ = batch.withUnsafeBufferPointer {
            index.search(
                $0.baseAddress!, count: 50, limit: 10, plan: .sharedScan(refined: 20),
                allowing: allowed, &statistics)
        }
        #expect(statistics.rows.count == 300 && statistics.lists.count == 0)
    }

    /// More queries than share a scan's memory take turns.
    @Test func aSharedScanOfManyQueries() throws {
        let data = ClusteredVectors(count: 200, queries: 300, dimensions: 4, seed: 8)
        let index = try data.index(.l2, .init(neighbors: 8, quantization: .sq8))
        let batch = data.queries.flatMap { $0 }
        let shared = try index.search(
            batch: batch, limit: 5, plan: .sharedScan(refined: 2000), allowing: nil)
        let alone = try index.search(
            batch: batch, limit: 5, plan: .scan(refined: 2000), allowing: nil)
        #expect(shared == alone && shared.allSatisfy { $0.count == 5 })
    }

    private static func costs(_ rowBytes: Int) -> SearchCosts {
        SearchCosts(
            degree: 32, rowBytes: rowBytes, dimensions: rowBytes, hasCodes: true, isa: "avx512")
    }

    @Test func plansByWhatIsLess() {
        func plan(
            _ ef: Int, allowed: Int, of count: Int, limit: Int = 10, rowBytes: Int = 128,
            queries: Int = 1
        ) -> SearchPlan {
            SearchPlan(
                ef: ef, limit: limit, .sq8, Self.costs(rowBytes), allowed: allowed, count: count,
                queries: queries)
        }
        func walk(_ ef: Int, _ detours: Int) -> SearchPlan {
            .walk(ef: ef, refined: 20, detours: detours)
        }
        let million = 1_000_000
        #expect(plan(64, allowed: million, of: million) == walk(64, 0))
        #expect(plan(64, allowed: 900_000, of: million) == walk(70, 0))
        // Rows of many cache lines make it worth while not to look at those that are forbidden.
        #expect(plan(64, allowed: 100_000, of: million, rowBytes: 1024) == walk(128, 10))
        #expect(plan(64, allowed: 100_000, of: million) == walk(404, 0))
        // Too few are left for a node's neighbours' neighbours to be among them.
        #expect(plan(64, allowed: 300_000, of: 100 * million) == walk(6676, 0))
        #expect(plan(64, allowed: 1000, of: million) == .scan(refined: 64))
        #expect(plan(64, allowed: 1000, of: million, queries: 100) == .sharedScan(refined: 64))
        let slow = SearchCosts(
            degree: 32, rowBytes: 128, dimensions: 128, hasCodes: true, isa: "scalar")
        #expect(
            SearchPlan(
                ef: 64, limit: 10, .sq8, slow, allowed: 1000, count: million, queries: 100)
                == .scan(refined: 64))
        #expect(plan(64, allowed: 1000, of: 1000) == .scan(refined: 64))
        #expect(plan(64, allowed: 100, of: 100) == .scan(refined: 64))
        #expect(plan(1, allowed: 1, of: 1, limit: 65_536) == .exact)
        #expect(plan(1, allowed: 0, of: 1) == .scan(refined: 20))
    }

    /// Walks over all nodes meet enough that are allowed by chance, but for a few in a hundred.
    @Test func walksSeldomMeetTooFew() {
        for limit in [1, 10, 100, 1000] {
            for percent in stride(from: 1, to: 100, by: 3) {
                for ef in [1, limit, 2 * limit] {
                    let plan = SearchPlan(
                        ef: ef, limit: limit, .sq8, Self.costs(4096), allowed: percent * 100_000,
                        count: 10_000_000, queries: 1)
                    guard case .walk(let ef, _, 0) = plan else { continue }
                    let short = probability(ofFewerThan: limit, among: ef, percent: percent)
                    #expect(short < 0.05, "\(limit) of \(ef) at \(percent) %")
                }
            }
        }
    }

    /// Those that meet too few see more, and not at once everything.
    @Test func walksThatMeetTooFewSeeMore() {
        func next(_ plan: SearchPlan, allowed: Int, queries: Int = 1) -> SearchPlan? {
            plan.next(Self.costs(128), allowed: allowed, count: 1_000_000, queries: queries)
        }
        let many = 500_000
        #expect(
            next(.walk(ef: 40, refined: 20, detours: 0), allowed: many)
                == .walk(ef: 80, refined: 20, detours: 0))
        #expect(
            next(.walk(ef: 40, refined: 20, detours: 4), allowed: many)
                == .walk(ef: 40, refined: 20, detours: 32))
        #expect(
            next(.walk(ef: 40, refined: 20, detours: 32), allowed: many) == .scan(refined: 40))
        #expect(next(.walk(ef: 40, refined: 20, detours: 0), allowed: 100) == .scan(refined: 40))
        #expect(
            next(.walk(ef: 40, refined: 20, detours: 0), allowed: 100, queries: 100)
                == .sharedScan(refined: 40))
        #expect(
            next(.walk(ef: 8000, refined: 20, detours: 0), allowed: many) == .scan(refined: 40))
        #expect(next(.sharedScan(refined: 40), allowed: many) == .exact)
        #expect(next(.exact, allowed: many) == nil)
    }

    /// A search for few reads little, although some walks meet fewer that are allowed than they are to
    /// return.
    @Test func aWalkThatFallsShortIsNoScan() throws {
        let data = ClusteredVectors(count: 4000, queries: 50, dimensions: 16, seed: 6)
        let index = try data.index(.l2, .init(neighbors: 8, quantization: .sq8))
        // As it is planned among a million, and one of which two of three fall short.
        let planned = SearchPlan(
            ef: 10, limit: 10, .sq8, index.costs, allowed: 500_000, count: 1_000_000, queries: 1)
        let short = SearchPlan.walk(ef: 10, refined: 10, detours: 0)
        for (tenths, plan) in [(5, planned), (9, short)] {
            var random = SeededGenerator(seed: 7)
            var allowed = VectorBitmap(count: index.count)
            for place in 0..<index.count where random.next() % 10 < tenths { allowed[place] = true }
            var statistics = HNSWSearchStatistics()
            for query in data.queries {
                let found = query.withUnsafeBufferPointer {
                    index.search(
                        $0.baseAddress!, count: 1, limit: 10, plan: plan, allowing: allowed,
                        &statistics)[0]
                }
                #expect(found.count == 10)
            }
            let read = (statistics.rows.count + statistics.vectors.count) / data.queries.count
            #expect(read < allowed.setCount / 2, "\(read) read for a query by \(plan)")
        }
    }

    /// Of `tries`, each of which succeeds with a chance of so many in a hundred.
    private func probability(ofFewerThan wanted: Int, among tries: Int, percent: Int) -> Double {
        let share = Double(percent) / 100
        // In logarithms, since the first ones are too small for a number.
        var logarithm = Double(tries) * log(1 - share)
        var sum = exp(logarithm)
        for successes in stride(from: 1, to: wanted, by: 1) {
            let ways = Double(tries - successes + 1) / Double(successes)
            logarithm += log(ways * share / (1 - share))
            sum += exp(logarithm)
        }
        return sum
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
