import CordwoodStorage
import CordwoodVectors
import Synchronization

/// The index on disk that is measured, in a directory of its own that is removed with it.
final class DiskUnderTest: IndexUnderTest {
    private static let efs = [10, 14, 20, 24, 28, 32, 40, 48, 64, 96, 128]

    private struct Count {
        var queries = 0
        var statistics = DiskSearchStatistics()
    }

    let index: DiskIndex
    private let allowed: VectorBitmap?
    private let directory: ScratchDirectory
    private let storage: LinuxStorage
    private let counts = Mutex([SearchPoint: Count]())

    /// Adds every row of the set under its number.
    init(
        _ set: VectorSet, metric: Metric, configuration: DiskConfiguration,
        directory parent: String, threads: Int, _ allowed: RowFilter?
    ) async throws {
        directory = try ScratchDirectory(in: parent)
        storage = try await LinuxStorage.open(root: directory.path)
        var builder = try await DiskBuilder(
            dimensions: set.dimensions, metric: metric, configuration: configuration,
            at: try StoragePath.root.appending("vectors.disk"), on: storage)
        for rows in set.chunks {
            for (id, values) in try set.rows(rows) {
                try await builder.append(id: id, vector: values.span)
            }
        }
        let index = try await builder.build(threads: threads)
        self.index = index
        self.allowed = allowed.map { $0.bitmap(of: index) }
        try await directory.settle()
    }

    /// Product codes, as long as the memory allows.
    var quantization: String { "auto" }

    var bytesPerVector: Double { Double(index.bytesAllocated) / Double(max(index.count, 1)) }

    var memoryBytes: Int? { index.bytesAllocated + index.searchBytes }

    func readsPerQuery(at point: SearchPoint) -> Double? {
        let count = counts.withLock { $0[point] ?? Count() }
        return Double(count.statistics.pagesRead) / Double(max(count.queries, 1))
    }

    func points(of grid: SearchGrid) throws -> [SearchPoint] {
        try grid.allow(["ef"])
        return (grid.values["ef"] ?? Self.efs).map { SearchPoint(name: "ef", effort: $0) }
    }

    func search(_ query: Span<Float>, limit: Int, at point: SearchPoint) throws -> [Neighbor] {
        try search(batch: query, limit: limit, at: point)[0]
    }

    func search(batch: Span<Float>, limit: Int, at point: SearchPoint) throws -> [[Neighbor]] {
        var statistics = DiskSearchStatistics()
        let found = try index.search(
            batch: batch, limit: limit, accuracy: .effort(point.effort ?? 100), allowing: allowed,
            statistics: &statistics)
        counts.withLock {
            $0[point, default: Count()].queries += found.count
            $0[point, default: Count()].statistics.pagesRead += statistics.pagesRead
        }
        return found
    }
}
