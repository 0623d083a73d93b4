import CordwoodVectors

/// The index of lists that is measured.
final class IVFUnderTest: IndexUnderTest {
    private static let probes = [1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256]

    let index: IVFIndex

    /// Adds every row of the set under its number.
    init(
        _ set: VectorSet, metric: Metric, configuration: IVFConfiguration, threads: Int
    ) throws {
        var builder = try IVFBuilder(
            dimensions: set.dimensions, metric: metric, configuration: configuration,
            expectedCount: set.count)
        try set.forEachRow { id, vector in try builder.append(id: id, vector: vector) }
        index = try builder.build(threads: threads)
    }

    var bytesPerVector: Double { Double(index.bytesAllocated) / Double(max(index.count, 1)) }

    func points(of grid: SearchGrid) throws -> [SearchPoint] {
        try grid.allow(["probes"])
        return (grid.values["probes"] ?? Self.probes).map { SearchPoint(probes: $0) }
    }

    func search(_ query: Span<Float>, limit: Int, at point: SearchPoint) throws -> [Neighbor] {
        try index.search(query, limit: limit, accuracy: .effort(point.probes ?? 1))
    }

    func search(batch: Span<Float>, limit: Int, at point: SearchPoint) throws -> [[Neighbor]] {
        try index.search(batch: batch, limit: limit, accuracy: .effort(point.probes ?? 1))
    }
}
