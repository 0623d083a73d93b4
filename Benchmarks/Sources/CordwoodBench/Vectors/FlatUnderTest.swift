import CordwoodVectors

/// The flat index that is measured, or that says what the exact neighbours are.
final class FlatUnderTest: IndexUnderTest {
    let index: FlatIndex

    /// Stores every row of the set that is allowed under its number.
    init(_ set: VectorSet, metric: Metric, _ allowed: RowFilter?) throws {
        var index = try FlatIndex(dimensions: set.dimensions, metric: metric)
        try set.forEachRow { id, vector in
            guard allowed?[id] ?? true else { return }
            try index.upsert(id: id, vector: vector, offset: 0)
        }
        self.index = index
    }

    var quantization: String { "none" }

    var bytesPerVector: Double { Double(index.bytesAllocated) / Double(max(index.count, 1)) }

    func points(of grid: SearchGrid) throws -> [SearchPoint] {
        try grid.allow([])
        return [SearchPoint()]
    }

    func search(_ query: Span<Float>, limit: Int, at point: SearchPoint) throws -> [Neighbor] {
        try index.search(query, limit: limit)
    }

    func search(batch: Span<Float>, limit: Int, at point: SearchPoint) throws -> [[Neighbor]] {
        try index.search(batch: batch, limit: limit)
    }
}
