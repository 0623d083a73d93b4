import TestSupport

@testable import CordwoodVectors

/// Vectors as data has them, near to some centers more than to others, which random ones are not.
struct ClusteredVectors {
    let dimensions: Int
    let vectors: [[Float]]
    /// Of the same kind, and no vectors.
    let queries: [[Float]]

    init(count: Int, queries: Int = 50, dimensions: Int, seed: UInt64) {
        self.dimensions = dimensions
        var random = SeededGenerator(seed: seed)
        let centers = (0..<max(4, count / 40)).map { _ in random.vector(dimensions) }
        func near() -> [Float] {
            let center = centers[Int.random(in: centers.indices, using: &random)]
            return zip(center, random.vector(dimensions)).map { $0 + 0.4 * $1 }
        }
        vectors = (0..<count).map { _ in near() }
        self.queries = (0..<queries).map { _ in near() }
    }

    func index(
        _ metric: Metric, _ configuration: HNSWConfiguration = .init(), threads: Int = 1
    ) throws -> HNSWIndex {
        try HNSWIndex.of(
            vectors, dimensions: dimensions, metric, configuration, threads: threads)
    }

    func flatIndex(_ metric: Metric) throws -> TestIndex {
        let index = try TestIndex(dimensions: dimensions, metric: metric)
        for (number, vector) in vectors.enumerated() { try index.upsert(UInt64(number), vector) }
        return index
    }
}

extension HNSWIndex {
    /// An index of vectors whose ids are their numbers.
    static func of(
        _ vectors: [[Float]], dimensions: Int, _ metric: Metric,
        _ configuration: HNSWConfiguration = .init(), threads: Int = 1
    ) throws -> HNSWIndex {
        var builder = try HNSWBuilder(
            dimensions: dimensions, metric: metric, configuration: configuration)
        for (number, vector) in vectors.enumerated() {
            try builder.append(id: UInt64(number), vector: vector.span)
        }
        return try builder.build(threads: threads)
    }

    /// By a walk, however few vectors there are, unless the search is to be exact.
    func search(
        _ query: [Float], limit: Int, accuracy: SearchAccuracy = .effort(100),
        allowing allowed: VectorBitmap? = nil
    ) throws(VectorError) -> [Neighbor] {
        guard case .effort(let ef) = accuracy else {
            return try search(query.span, limit: limit, accuracy: accuracy, allowing: allowed)
        }
        // What makes no sense is refused before a plan is made.
        _ = try search(query.span, limit: limit, accuracy: accuracy, allowing: allowed)
        let wanted = max(ef, limit)
        let refined = SearchPlan.refined(ef: wanted, limit: limit, configuration.quantization)
        return try search(
            batch: query, limit: limit, plan: .walk(ef: wanted, refined: refined, detours: 0),
            allowing: allowed)[0]
    }

    func search(
        batch: [Float], limit: Int, plan: SearchPlan, allowing allowed: VectorBitmap?
    ) throws(VectorError) -> [[Neighbor]] {
        let queries = try FlatIndex.validate(batch: batch.span, dimensions: dimensions)
        var statistics = HNSWSearchStatistics()
        return search(
            batch, count: queries, limit: limit, plan: plan, allowing: allowed, &statistics)
    }
}

/// The share of `expected` that was found, by distance, so that one of two equals serves.
func recall(_ found: [[Neighbor]], _ expected: [[Neighbor]]) -> Double {
    var hits = 0
    var all = 0
    for (found, expected) in zip(found, expected) {
        let farthest = expected.last?.distance ?? 0
        hits += found.filter { $0.distance <= farthest + 1e-5 * max(1, abs(farthest)) }.count
        all += expected.count
    }
    return Double(hits) / Double(max(all, 1))
}
