import CordwoodVectors

/// A flat index by reference, with arrays for spans: `#expect` copies what it looks at.
final class TestIndex {
    private var index: FlatIndex

    init(dimensions: Int, metric: Metric) throws(VectorError) {
        index = try FlatIndex(dimensions: dimensions, metric: metric)
    }

    var dimensions: Int { index.dimensions }
    var count: Int { index.count }
    var bytesAllocated: Int { index.bytesAllocated }

    func upsert(_ id: UInt64, _ vector: [Float], offset: Int64 = 0) throws(VectorError) {
        try index.upsert(id: id, vector: vector.span, offset: offset)
    }

    func remove(_ id: UInt64) -> Bool { index.remove(id: id) }
    func contains(_ id: UInt64) -> Bool { index.contains(id) }
    func offset(of id: UInt64) -> Int64? { index.offset(of: id) }
    func vector(of id: UInt64) -> [Float]? { index.vector(of: id) }

    func search(_ query: [Float], limit: Int) throws(VectorError) -> [Neighbor] {
        try index.search(query.span, limit: limit)
    }

    func search(batch: [Float], limit: Int) throws(VectorError) -> [[Neighbor]] {
        try index.search(batch: batch.span, limit: limit)
    }
}
