import Synchronization
import TestSupport

@testable import CordwoodVectors

/// Enough vectors for recall to mean something, with the truth about the queries.
final class RecallData: Sendable {
    enum Shape: CaseIterable {
        /// Near to some centers, as sentences are, by their directions.
        case directions
        /// Whole numbers from 0 to 255, as features of images are.
        case bytes
        /// Evenly in a cube: no centers to hold on to.
        case even
        /// Of different lengths, by inner products.
        case lengths

        var metric: Metric {
            switch self {
            case .directions: .cosine
            case .bytes, .even: .l2
            case .lengths: .innerProduct
            }
        }
    }

    static let count = 1000
    static let limit = 10

    let shape: Shape
    let dimensions: Int
    let vectors: [[Float]]
    let queries: [[Float]]
    /// All vectors for each query.
    let rankings: [[Neighbor]]

    private init(_ shape: Shape) throws {
        self.shape = shape
        var random = SeededGenerator(seed: 3)
        let (count, queryCount) = (Self.count, 20)
        switch shape {
        case .directions, .lengths:
            dimensions = shape == .directions ? 24 : 50
            let data = ClusteredVectors(
                count: count, queries: queryCount, dimensions: dimensions, seed: 1)
            (vectors, queries) = (data.vectors, data.queries)
        case .bytes:
            dimensions = 32
            let data = ClusteredVectors(
                count: count, queries: queryCount, dimensions: dimensions, seed: 2)
            let asBytes = { (vector: [Float]) in
                vector.map { min(255, max(0, ($0 * 90 + 128).rounded())) }
            }
            (vectors, queries) = (data.vectors.map(asBytes), data.queries.map(asBytes))
        case .even:
            dimensions = 8
            vectors = (0..<count).map { _ in random.vector(8) }
            queries = (0..<queryCount).map { _ in random.vector(8) }
        }
        let flat = try TestIndex(dimensions: dimensions, metric: shape.metric)
        for (id, vector) in vectors.enumerated() { try flat.upsert(UInt64(id), vector) }
        rankings = try flat.search(batch: Array(queries.joined()), limit: count)
    }

    /// The share of the nearest that are allowed that was found for all queries, by their true distances.
    func recall(_ found: [[Neighbor]], allowing isAllowed: (Int, UInt64) -> Bool = { _, _ in true })
        -> Double
    {
        var (hits, all) = (0, 0)
        for (query, found) in found.enumerated() {
            let nearest = rankings[query].filter { isAllowed(query, $0.id) }.prefix(Self.limit)
            guard let last = nearest.last else { continue }
            let near = rankings[query].lazy.prefix { $0.distance <= last.distance }
            let ids = Set(near.map(\.id))
            hits += min(nearest.count, found.count { ids.contains($0.id) })
            all += nearest.count
        }
        return Double(hits) / Double(all)
    }

    // MARK: Made once for all tests

    private struct Key: Hashable {
        var kind: KindOfIndex
        var shape: Shape
    }

    private static let made = Mutex<[Shape: RecallData]>([:])
    private static let built = Mutex<[Key: Task<any VectorIndex, any Error>]>([:])

    static func of(_ shape: Shape) throws -> RecallData {
        try made.withLock { made in
            if let data = made[shape] { return data }
            let data = try RecallData(shape)
            made[shape] = data
            return data
        }
    }

    /// An index of the vectors, whose ids are their numbers.
    func index(_ kind: KindOfIndex) async throws -> any VectorIndex {
        let key = Key(kind: kind, shape: shape)
        let task = Self.built.withLock { built in
            if let task = built[key] { return task }
            let task = Task { [self] in
                try await kind.index(of: vectors, dimensions: dimensions, shape.metric)
            }
            built[key] = task
            return task
        }
        return try await task.value
    }
}
