import CordwoodStorage
import CordwoodVectors
import Synchronization

/// The index on disk that is measured: in a directory of its own that is removed with it, or in one where
/// it is kept for the next run.
final class DiskUnderTest: IndexUnderTest {
    private static let efs = [10, 14, 20, 24, 28, 32, 40, 48, 64, 96, 128]
    private static let fileName = "vectors.disk"

    private struct Count {
        var queries = 0
        var statistics = DiskSearchStatistics()
    }

    let index: DiskIndex
    /// The file of the index.
    let path: String
    let keptBuildSeconds: Double?
    private let allowed: VectorBitmap?
    private let directory: OwnDirectory?
    private let storage: LinuxStorage
    private let counts = Mutex([SearchPoint: Count]())

    /// Adds every row of the set under its number. With `kept`, a directory, the index is opened from there
    /// if it was built before; who names it knows that it is of the same set and configuration.
    init(
        _ set: VectorSet, metric: Metric, configuration: DiskConfiguration,
        directory parent: String, kept: String?, threads: Int, _ allowed: RowFilter?
    ) async throws {
        directory = kept == nil ? OwnDirectory(try ScratchDirectory(in: parent)) : nil
        let root = directory?.scratch.path ?? kept ?? parent
        storage = try await LinuxStorage.open(root: root)
        path = "\(root)/\(Self.fileName)"
        let place = try StoragePath.root.appending(Self.fileName)
        // Written last, so that an index that is there with it is whole.
        let note = "\(root)/build-seconds"
        let index: DiskIndex
        if kept != nil, let seconds = Double(SmallFile.read(note)) {
            keptBuildSeconds = seconds
            index = try await DiskIndex.open(
                place, on: storage, memoryCapBytes: configuration.memoryCapBytes)
        } else {
            keptBuildSeconds = nil
            let clock = ContinuousClock()
            let start = clock.now
            index = try await Self.build(set, metric, configuration, place, storage, threads)
            if kept != nil {
                let seconds = start.duration(to: clock.now) / .seconds(1)
                try SmallFile.replace(note, with: Array("\(seconds)".utf8))
            }
        }
        self.index = index
        self.allowed = allowed.map { $0.bitmap(of: index) }
        try await directory?.scratch.settle()
    }

    private static func build(
        _ set: VectorSet, _ metric: Metric, _ configuration: DiskConfiguration,
        _ place: StoragePath, _ storage: LinuxStorage, _ threads: Int
    ) async throws -> DiskIndex {
        var builder = try await DiskBuilder(
            dimensions: set.dimensions, metric: metric, configuration: configuration, at: place,
            on: storage)
        for rows in set.chunks {
            for (id, values) in try set.rows(rows) {
                try await builder.append(id: id, vector: values.span)
            }
        }
        return try await builder.build(threads: threads)
    }

    /// Product codes, as long as the memory allows.
    var quantization: String { "auto" }

    var bytesPerVector: Double { Double(index.bytesAllocated) / Double(max(index.count, 1)) }

    var memoryBytes: Int? { index.bytesAllocated + index.searchBytes }

    func readsPerQuery(at point: SearchPoint) -> Double? {
        let count = counts.withLock { $0[point] ?? Count() }
        return Double(count.statistics.pagesRead) / Double(max(count.queries, 1))
    }

    /// What the disk gives with as many reads in flight as searches in this mode may have.
    func reads(_ mode: SearchMode, threads: Int) -> FioRandomReads {
        FioRandomReads(
            path: path, threads: threads,
            readsInFlight: mode == .batch
                ? DiskIndex.mostReadsInFlight : DiskIndex.mostReadsInFlightOfOne)
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

/// A directory that there may be.
private final class OwnDirectory: Sendable {
    let scratch: ScratchDirectory

    init(_ scratch: consuming ScratchDirectory) { self.scratch = scratch }
}
