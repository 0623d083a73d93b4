import CordwoodStorage
import CordwoodVectors

/// Builds and opens the indexes of segments: the one place that knows what kinds there are.
struct SegmentFormat: Sendable {
    let configuration: CollectionConfiguration

    /// Nil for a collection whose points all stay in its head.
    init?(_ configuration: CollectionConfiguration) {
        switch configuration.index {
        case .flat: return nil
        // The last two are refused when a collection is created or opened.
        case .hnsw, .ivf, .disk: self.configuration = configuration
        }
    }

    /// What the manifest calls the kind: the number that its files have
    /// (`docs/file-formats.md`, "Index of vectors").
    var kindNumber: UInt8 {
        switch configuration.index {
        case .hnsw: 1
        case .ivf: 2
        case .disk: 3
        case .flat: 4
        }
    }

    /// A builder for about so many vectors.
    func builder(expectedCount: Int) throws(VectorError) -> any SegmentBuilder {
        switch configuration.index {
        case .hnsw(let hnsw):
            return try HNSWSegmentBuilder(
                HNSWBuilder(
                    dimensions: configuration.dimensions, metric: configuration.metric,
                    configuration: hnsw, expectedCount: expectedCount))
        case .flat, .ivf, .disk: throw unsupported
        }
    }

    /// Opens the file of an index, every byte of which is checked, and which must be one that
    /// ``builder(expectedCount:)`` makes.
    func open(
        _ path: StoragePath, on storage: some Storage
    ) async throws(VectorError) -> any VectorIndex {
        let index: any VectorIndex
        switch configuration.index {
        case .hnsw(let hnsw):
            let graph = try await HNSWIndex.open(path, on: storage)
            guard graph.configuration == hnsw else {
                throw VectorError(
                    .damaged,
                    "\(path): expected the configuration \(hnsw), found \(graph.configuration)")
            }
            index = graph
        case .flat, .ivf, .disk: throw unsupported
        }
        guard index.dimensions == configuration.dimensions, index.metric == configuration.metric
        else {
            throw VectorError(
                .damaged,
                "\(path): expected \(configuration.dimensions) dimensions and the metric "
                    + "\(configuration.metric), found \(index.dimensions) and \(index.metric)")
        }
        return index
    }

    /// The most vectors that one segment may hold.
    var maximumCount: Int { HNSWIndex.maximumCount }

    private var unsupported: VectorError {
        VectorError(.invalidConfiguration, "no segments have an index \(configuration.index.name)")
    }
}

/// Takes the vectors of a segment and builds its index. One caller at a time.
protocol SegmentBuilder: AnyObject, Sendable {
    func append(id: UInt64, vector: Span<Float>) throws(VectorError)

    /// Called once, last. Blocks the calling thread for as long as it takes; throws
    /// ``VectorError/Code/cancelled`` after `isCancelled` said so.
    func build(
        threads: Int, progress: @escaping @Sendable (Int) -> Void,
        isCancelled: @escaping @Sendable () -> Bool
    ) throws(VectorError) -> any VectorIndex
}

/// `@unchecked Sendable`: it is handed from one thread to the next, and used by one at a time.
private final class HNSWSegmentBuilder: SegmentBuilder, @unchecked Sendable {
    private var builder: HNSWBuilder?

    init(_ builder: consuming HNSWBuilder) { self.builder = consume builder }

    func append(id: UInt64, vector: Span<Float>) throws(VectorError) {
        try builder?.append(id: id, vector: vector)
    }

    func build(
        threads: Int, progress: @escaping @Sendable (Int) -> Void,
        isCancelled: @escaping @Sendable () -> Bool
    ) throws(VectorError) -> any VectorIndex {
        guard let builder = builder.take() else {
            preconditionFailure("a segment is built once")
        }
        return try builder.build(threads: threads, progress: progress, isCancelled: isCancelled)
    }
}
