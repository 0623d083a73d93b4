import TestSupport
import Testing

@testable import CordwoodVectors

/// Half of the vectors have their kin beside them and are found by any search; the others lie far from each
/// other.
private final class UnevenData: Sendable {
    static let count = 4200
    static let dimensions = 16
    static let queryCount = 120
    static let limits = [1, 10, 100]

    let vectors: [[Float]]
    /// Distributed as the vectors, and like the far ones only.
    let queries: [(name: String, allowedLess: Double, vectors: [[Float]])]
    /// For each sort of queries the nearest of the most that are asked for.
    let nearest: [[[Neighbor]]]

    static let shared = Result { try UnevenData() }

    private init() throws {
        var random = SeededGenerator(seed: 21)
        let centers = (0..<Self.count / 60).map { _ in random.vector(Self.dimensions) }
        func near() -> [Float] {
            let center = centers[Int.random(in: centers.indices, using: &random)]
            return zip(center, random.vector(Self.dimensions)).map { $0 + 0.02 * $1 }
        }
        func far() -> [Float] { random.vector(Self.dimensions).map { 1.5 * $0 } }
        vectors = (0..<Self.count).map { $0 % 2 == 0 ? near() : far() }
        let alike = (0..<Self.queryCount).map { $0 % 2 == 0 ? near() : far() }
        queries = [
            ("alike", 0.01, alike), ("far", 0.03, (0..<Self.queryCount).map { _ in far() }),
        ]
        let flat = try TestIndex(dimensions: Self.dimensions, metric: .l2)
        for (number, vector) in vectors.enumerated() { try flat.upsert(UInt64(number), vector) }
        nearest = try queries.map { queries in
            try queries.vectors.map { try flat.search($0, limit: Self.limits.max()!) }
        }
    }
}

@Suite struct PromisedRecallTests {
    static let kinds = [
        KindOfIndex(.graph(.init(neighbors: 8, efConstruction: 60, quantization: .sq4))),
        KindOfIndex(.lists(.init(quantization: .pq4))),
        KindOfIndex(.disk(.init(degree: 16, efConstruction: 40))),
    ]

    /// What is promised is found by queries like the vectors, and but for little by those that are like the
    /// hard ones of them only, of any number of results.
    @Test(arguments: kinds) func isKeptByQueriesUnlikeTheVectors(kind: KindOfIndex) async throws {
        let data = try UnevenData.shared.get()
        let index = try await kind.index(
            of: data.vectors, dimensions: UnevenData.dimensions, .l2, threads: 2)
        for (queries, nearest) in zip(data.queries, data.nearest) {
            for limit in UnevenData.limits {
                for promised in [0.8, 0.9, 0.95, 0.99] {
                    let found = try index.found(batch: queries.vectors, limit, .recall(promised))
                    let recalls = zip(found, nearest).map {
                        recall([$0], [Array($1.prefix(limit))])
                    }
                    let (mean, error) = meanAndError(recalls)
                    // What so few queries cannot tell is not held against it.
                    #expect(
                        mean + 2 * error >= promised - queries.allowedLess,
                        "\(promised) of \(limit), \(queries.name): \(mean)")
                }
            }
        }
    }

    /// The mean, and its standard error.
    private func meanAndError(_ values: [Double]) -> (Double, Double) {
        let count = Double(values.count)
        let mean = values.reduce(0, +) / count
        let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (count - 1)
        return (mean, (variance / count).squareRoot())
    }
}
