import CordwoodVectors

/// The graph index that is measured.
final class HNSWUnderTest: IndexUnderTest {
    private static let efs = [10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512]

    let index: HNSWIndex
    private let allowed: VectorBitmap?

    /// Adds every row of the set under its number.
    init(
        _ set: VectorSet, metric: Metric, configuration: HNSWConfiguration, threads: Int,
        _ allowed: RowFilter?
    ) throws {
        var builder = try HNSWBuilder(
            dimensions: set.dimensions, metric: metric, configuration: configuration,
            expectedCount: set.count)
        try set.forEachRow { id, vector in try builder.append(id: id, vector: vector) }
        let index = try builder.build(threads: threads)
        self.index = index
        self.allowed = allowed.map { $0.bitmap(of: index) }
    }

    var bytesPerVector: Double { Double(index.bytesAllocated) / Double(max(index.count, 1)) }

    func points(of grid: SearchGrid) throws -> [SearchPoint] {
        try grid.allow(["ef"])
        return (grid.values["ef"] ?? Self.efs).map { SearchPoint(ef: $0) }
    }

    func search(_ query: Span<Float>, limit: Int, at point: SearchPoint) throws -> [Neighbor] {
        try index.search(
            query, limit: limit, accuracy: .effort(point.ef ?? 100),
            allowing: allowed)
    }

    func search(batch: Span<Float>, limit: Int, at point: SearchPoint) throws -> [[Neighbor]] {
        try index.search(
            batch: batch, limit: limit, accuracy: .effort(point.ef ?? 100),
            allowing: allowed)
    }
}
