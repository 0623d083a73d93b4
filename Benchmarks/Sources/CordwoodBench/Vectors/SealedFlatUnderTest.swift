import CordwoodVectors

/// The flat index of vectors that do not change that is measured.
final class SealedFlatUnderTest: IndexUnderTest {
    let index: SealedFlatIndex

    /// Adds every row of the set under its number.
    init(
        _ set: VectorSet, metric: Metric, configuration: SealedFlatConfiguration, threads: Int
    ) throws {
        var builder = try SealedFlatBuilder(
            dimensions: set.dimensions, metric: metric, configuration: configuration,
            expectedCount: set.count)
        try set.forEachRow { id, vector in try builder.append(id: id, vector: vector) }
        index = try builder.build(threads: threads)
    }

    var bytesPerVector: Double { Double(index.bytesAllocated) / Double(max(index.count, 1)) }

    func points(of grid: SearchGrid) throws -> [SearchPoint] {
        try grid.allow([])
        return [SearchPoint()]
    }

    func search(_ query: Span<Float>, limit: Int, at point: SearchPoint) throws -> [Neighbor] {
        try index.search(query, limit: limit, accuracy: .exact)
    }

    func search(batch: Span<Float>, limit: Int, at point: SearchPoint) throws -> [[Neighbor]] {
        try index.search(batch: batch, limit: limit, accuracy: .exact)
    }
}
