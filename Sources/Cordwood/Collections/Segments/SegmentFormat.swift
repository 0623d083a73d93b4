import CordwoodStorage
import CordwoodVectors

/// Builds and opens the indexes of segments: the one place that knows what kinds there are.
struct SegmentFormat: Sendable {
    let configuration: CollectionConfiguration

    /// Nil for a collection whose points all stay in its head.
    init?(_ configuration: CollectionConfiguration) {
        if configuration.index == .flat { return nil }
        self.configuration = configuration
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

    /// A builder for about so many vectors, whose index will be in the file at `path`.
    func builder<S: Storage>(
        expectedCount: Int, at path: StoragePath, on storage: S
    ) async throws(VectorError) -> any SegmentBuilder {
        let (dimensions, metric) = (configuration.dimensions, configuration.metric)
        switch configuration.index {
        case .hnsw(let hnsw):
            return MemorySegmentBuilder(
                try HNSWBuilder(
                    dimensions: dimensions, metric: metric, configuration: hnsw,
                    expectedCount: expectedCount), path, storage)
        case .ivf(let ivf):
            return MemorySegmentBuilder(
                try IVFBuilder(
                    dimensions: dimensions, metric: metric, configuration: ivf,
                    expectedCount: expectedCount), path, storage)
        case .disk(let disk):
            return DiskSegmentBuilder(
                try await DiskBuilder(
                    dimensions: dimensions, metric: metric, configuration: disk, at: path,
                    on: storage))
        case .flat: throw hasNone
        }
    }

    /// Opens the file of an index, which is checked (that of an index on disk as far as it is in memory;
    /// its pages are when they are read), and must be one that the builder makes.
    func open(
        _ path: StoragePath, on storage: some Storage
    ) async throws(VectorError) -> any VectorIndex {
        let index: any VectorIndex
        let isAsAsked: Bool
        switch configuration.index {
        case .hnsw(let asked):
            let graph = try await HNSWIndex.open(path, on: storage)
            isAsAsked = graph.configuration.isBuilt(of: asked)
            index = graph
        case .ivf(let asked):
            let lists = try await IVFIndex.open(path, on: storage)
            isAsAsked = lists.configuration.isBuilt(of: asked)
            index = lists
        case .disk(let asked):
            let pages = try await DiskIndex.open(
                path, on: storage, memoryCapBytes: asked.memoryCapBytes)
            isAsAsked = pages.configuration.isBuilt(of: asked)
            index = pages
        case .flat: throw hasNone
        }
        guard isAsAsked, index.dimensions == configuration.dimensions,
            index.metric == configuration.metric
        else {
            throw VectorError(
                .damaged,
                "\(path): expected an index of \(configuration.dimensions) dimensions, the metric "
                    + "\(configuration.metric) and \(configuration.index), found another, of "
                    + "\(index.dimensions) dimensions and the metric \(index.metric)")
        }
        return index
    }

    /// The most vectors that one segment may hold.
    var maximumCount: Int {
        switch configuration.index {
        case .flat, .hnsw: HNSWIndex.maximumCount
        case .ivf: IVFIndex.maximumCount
        case .disk: DiskIndex.maximumCount
        }
    }

    private var hasNone: VectorError {
        VectorError(.invalidConfiguration, "no segments have an index \(configuration.index.name)")
    }
}

// What an index says of itself where it was left a choice.

extension HNSWConfiguration {
    fileprivate func isBuilt(of asked: HNSWConfiguration) -> Bool {
        var asked = asked
        if asked.quantization == .auto { asked.quantization = quantization }
        // Of what halves cannot hold.
        if asked.reranking == .f16, reranking == .f32 { asked.reranking = .f32 }
        return self == asked
    }
}

extension IVFConfiguration {
    fileprivate func isBuilt(of asked: IVFConfiguration) -> Bool {
        var asked = asked
        if asked.quantization == .auto { asked.quantization = quantization }
        // There are never more lists than vectors.
        if asked.lists.map({ $0 > lists ?? 0 }) ?? true { asked.lists = lists }
        return self == asked
    }
}

extension DiskConfiguration {
    fileprivate func isBuilt(of asked: DiskConfiguration) -> Bool {
        var asked = asked
        // The file does not say how much memory it was built with.
        asked.buildMemoryCapBytes = buildMemoryCapBytes
        return self == asked
    }
}
