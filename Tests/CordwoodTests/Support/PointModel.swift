import Cordwood
import CordwoodSimulation
import Testing

/// What a collection is held against: a dictionary, searched by comparing with every vector. Components
/// are small whole numbers, so distances are exact whatever the order of the sums.
struct PointModel {
    static let dimensions = 6

    var points: [UInt64: [Float]] = [:]

    /// Every kind of index that is sealed.
    static let kinds: [IndexKind] = [
        .hnsw(HNSWConfiguration(neighbors: 4, efConstruction: 24)),
        .ivf(IVFConfiguration(lists: 5)),
        .disk(DiskConfiguration(degree: 8, efConstruction: 24)),
        .hnsw(HNSWConfiguration(neighbors: 4, quantization: .auto, reranking: .f16)),
    ]

    static func configuration(
        sealAfter: Int = 1 << 30, index: IndexKind = kinds[0]
    ) -> CollectionConfiguration {
        CollectionConfiguration(
            dimensions: dimensions, metric: .l2, index: index, sealAfter: sealAfter,
            log: .init(segmentBytes: 30_000, maxMessageBytes: 8_000))
    }

    static func vector(_ random: inout SplitMix64) -> [Float] {
        (0..<dimensions).map { _ in Float(random.below(32)) }
    }

    func nearest(_ query: [Float], _ limit: Int, allowing: Set<UInt64>? = nil) -> [Neighbor] {
        let found = points.filter { allowing?.contains($0.key) ?? true }.map { id, vector in
            Neighbor(
                id: id,
                distance: zip(vector, query).reduce(Float(0)) {
                    $0 + ($1.0 - $1.1) * ($1.0 - $1.1)
                })
        }
        return Array(found.sorted { ($0.distance, $0.id) < ($1.distance, $1.id) }.prefix(limit))
    }

    /// Some changes, made to the collection and noted; they are durable.
    mutating func change(
        _ collection: Collection, ids: Int, random: inout SplitMix64
    ) async throws {
        if random.below(3) == 0 {
            let gone = (0...random.below(10)).map { _ in UInt64(random.below(ids)) }
            try await collection.delete(gone)
            for id in gone { points[id] = nil }
        } else {
            let new = (0...random.below(25)).map { _ in
                Point(id: UInt64(random.below(ids)), vector: Self.vector(&random))
            }
            try await collection.upsert(new)
            for point in new { points[point.id] = point.vector }
        }
    }

    /// Whether the collection has these points and no others, and finds them.
    func check(
        _ collection: Collection, random: inout SplitMix64, _ comment: Comment
    ) async throws {
        let query = Self.vector(&random)
        let limit = 1 + random.below(points.count + 10)
        let exact = try await collection.search(query, limit: limit, accuracy: .exact)
        #expect(exact == nearest(query, limit), comment)
        #expect(collection.count == points.count, comment)
        // However little is looked at, there are as many as there can be, and none that is gone.
        for accuracy in [SearchAccuracy.effort(1), .recall(0.95)] {
            let found = try await collection.search(query, limit: limit, accuracy: accuracy)
            #expect(found.count == min(limit, points.count), comment)
            #expect(Set(found.map(\.id)).count == found.count, comment)
            for neighbor in found {
                let vector = try #require(points[neighbor.id], comment)
                let distance = zip(vector, query).reduce(Float(0)) {
                    $0 + ($1.0 - $1.1) * ($1.0 - $1.1)
                }
                #expect(neighbor.distance == distance, comment)
            }
        }
        let ids = Set((0..<20).map { _ in UInt64(random.below(400)) })
        #expect(
            try await collection.search(query, limit: 5, accuracy: .exact, allowing: ids)
                == nearest(query, 5, allowing: ids), comment)
        let all = nearest(query, .max)
        let distance = all.isEmpty ? 10 : all[random.below(all.count)].distance
        #expect(
            try await collection.search(query, within: distance, accuracy: .exact)
                == all.filter { $0.distance <= distance }, comment)
        if let id = points.keys.min() {
            #expect(try await collection.get(id)?.vector == points[id], comment)
        }
    }
}
