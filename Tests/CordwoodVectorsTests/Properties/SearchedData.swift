import Synchronization
import TestSupport
import Testing

@testable import CordwoodVectors

/// Vectors and queries of one metric and so many dimensions, with the truth about them.
///
/// The vectors are near to some centers; some come twice, one is all zeros, and the ids are from all over
/// their range.
final class SearchedData: Sendable {
    static let dimensions = [1, 2, 3, 7, 50, 127, 128, 384]
    static let count = 130

    let metric: Metric
    let dimensions: Int
    let ids: [UInt64]
    let vectors: [[Float]]
    /// The last two are a vector, and all zeros.
    let queries: [[Float]]
    let numbers: [UInt64: Int]
    /// For each query the distance of each vector, in double precision.
    let distances: [[Double]]
    /// For each query the vectors' numbers by distance and then by id.
    let rankings: [[Int]]
    /// For each query how far a distance in single precision may be off, and one to vectors that are
    /// kept as halves.
    let roundings: [(single: Double, half: Double)]

    init(_ metric: Metric, dimensions: Int) {
        let twice = 15
        let data = ClusteredVectors(
            count: Self.count - twice - 1, queries: 4, dimensions: dimensions,
            seed: UInt64(dimensions))
        let zeros = [Float](repeating: 0, count: dimensions)
        let vectors = data.vectors + data.vectors.prefix(twice) + [zeros]
        let queries = data.queries + [data.vectors[3], zeros]
        let ids = (0..<UInt64(Self.count - 1)).map { $0 &* 0x9e37_79b9_7f4a_7c15 } + [.max]
        let reference = Reference(
            metric: metric, vectors: Dictionary(uniqueKeysWithValues: zip(ids, vectors)))
        let distances = queries.map { query in vectors.map { reference.distance(query, $0) } }
        self.metric = metric
        self.dimensions = dimensions
        self.ids = ids
        self.vectors = vectors
        self.queries = queries
        self.distances = distances
        numbers = Dictionary(uniqueKeysWithValues: zip(ids, vectors.indices))
        rankings = distances.map { distances in
            vectors.indices.sorted { (distances[$0], ids[$0]) < (distances[$1], ids[$1]) }
        }
        let norm = { (vector: [Float]) in
            metric == .cosine ? 1 : vector.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
        }
        let longest = vectors.map(norm).max() ?? 0
        roundings = queries.map { query in
            let single = reference.tolerance(query)
            // Twice what changes where each component is off by 2^-11 of itself.
            return (single, single + 0x1p-9 * longest * (longest + norm(query)))
        }
    }

    /// How far a distance may be off that a kind of index says.
    private func tolerance(of kind: KindOfIndex, _ query: Int) -> Double {
        switch kind.kept {
        case .f32: roundings[query].single
        case .f16: roundings[query].half
        case .none: .infinity
        }
    }

    /// Expects what every search must return: so many results, in order, once each, of ids that may be
    /// there, as far away as they say.
    func expectSound(
        _ found: [Neighbor], query: Int, count: Int, of kind: KindOfIndex, _ what: String,
        allowing isAllowed: (UInt64) -> Bool = { _ in true },
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let comment: Comment = "\(dimensions) dimensions, query \(query), \(what)"
        let areSound = found.allSatisfy { neighbor in
            guard let number = numbers[neighbor.id], isAllowed(neighbor.id) else { return false }
            let distance = distances[query][number]
            return abs(Double(neighbor.distance) - distance)
                <= tolerance(of: kind, query)
        }
        #expect(
            found.count == count && isSorted(found) && areSound
                && Set(found.map(\.id)).count == count, comment, sourceLocation: sourceLocation)
    }

    /// Expects, beside, that no vector that was left out is nearer than one that was found.
    func expectNearest(
        _ found: [Neighbor], query: Int, of kind: KindOfIndex, _ what: String,
        allowing isAllowed: (UInt64) -> Bool = { _ in true },
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let truth = rankings[query].filter { isAllowed(ids[$0]) }
        let areNearest = zip(found, truth).allSatisfy { neighbor, expected in
            let distance = distances[query][expected]
            return abs(distances[query][numbers[neighbor.id]!] - distance)
                <= 2 * tolerance(of: kind, query)
        }
        #expect(
            areNearest, "\(dimensions) dimensions, query \(query), \(what)",
            sourceLocation: sourceLocation)
    }
}

/// An index of searched data. Each is built once, for all the tests that search it.
struct SearchedIndex: Sendable {
    let data: SearchedData
    let index: any VectorIndex

    private struct Key: Hashable {
        var kind: KindOfIndex
        var metric: Metric
        var dimensions: Int
    }

    private static let data = Mutex<[Key: SearchedData]>([:])
    private static let built = Mutex<[Key: Task<SearchedIndex, any Error>]>([:])

    static func of(
        _ kind: KindOfIndex, _ metric: Metric, dimensions: Int
    ) async throws -> SearchedIndex {
        let key = Key(kind: kind, metric: metric, dimensions: dimensions)
        let task = built.withLock { built in
            if let task = built[key] { return task }
            let task = Task {
                let data = data(metric, dimensions: dimensions)
                return SearchedIndex(
                    data: data,
                    index: try await kind.index(
                        of: data.vectors, ids: data.ids, dimensions: dimensions, metric))
            }
            built[key] = task
            return task
        }
        return try await task.value
    }

    /// The same for every kind.
    private static func data(_ metric: Metric, dimensions: Int) -> SearchedData {
        let key = Key(kind: KindOfIndex(.rows), metric: metric, dimensions: dimensions)
        return data.withLock { data in
            if let data = data[key] { return data }
            let new = SearchedData(metric, dimensions: dimensions)
            data[key] = new
            return new
        }
    }

    /// One for each number of dimensions.
    static func each(
        _ kind: KindOfIndex, _ metric: Metric,
        _ body: (SearchedData, any VectorIndex) throws -> Void
    ) async throws {
        for dimensions in SearchedData.dimensions {
            let searched = try await of(kind, metric, dimensions: dimensions)
            try body(searched.data, searched.index)
        }
    }
}
