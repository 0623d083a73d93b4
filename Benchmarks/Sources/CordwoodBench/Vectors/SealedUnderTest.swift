import CordwoodVectors

/// An index of vectors that do not change that is measured.
final class SealedUnderTest: IndexUnderTest {
    private let index: any VectorIndex
    private let effort: IndexOptions.Effort?
    private let chosen: Quantization
    private let allowed: VectorBitmap?

    /// `effort` says what the index's searches take, where they take any.
    init(
        _ index: any VectorIndex, effort: IndexOptions.Effort?, chosen: Quantization,
        _ allowed: RowFilter?
    ) {
        self.index = index
        self.effort = effort
        self.chosen = chosen
        self.allowed = allowed.map { $0.bitmap(of: index) }
    }

    var quantization: String { chosen.rawValue }

    var bytesPerVector: Double { Double(index.bytesAllocated) / Double(max(index.count, 1)) }

    func points(of grid: SearchGrid) throws -> [SearchPoint] {
        try grid.allow(effort.map { [$0.name] } ?? [])
        guard let effort else { return [SearchPoint()] }
        return (grid.values[effort.name] ?? effort.values).map {
            SearchPoint(name: effort.name, effort: $0)
        }
    }

    func search(_ query: Span<Float>, limit: Int, at point: SearchPoint) throws -> [Neighbor] {
        try index.search(query, limit: limit, accuracy: point.accuracy, allowing: allowed)
    }

    func search(batch: Span<Float>, limit: Int, at point: SearchPoint) throws -> [[Neighbor]] {
        try index.search(batch: batch, limit: limit, accuracy: point.accuracy, allowing: allowed)
    }

    func reads(batch: Span<Float>, limit: Int, at point: SearchPoint) throws
        -> HNSWSearchStatistics?
    {
        guard let graph = index as? HNSWIndex else { return nil }
        var statistics = HNSWSearchStatistics()
        _ = try graph.search(
            batch: batch, limit: limit, accuracy: point.accuracy, allowing: allowed,
            statistics: &statistics)
        return statistics
    }
}

extension SearchPoint {
    fileprivate var accuracy: SearchAccuracy { effort.map { .effort($0) } ?? .exact }
}
