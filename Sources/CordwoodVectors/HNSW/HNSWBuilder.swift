internal import CCordwoodKernels

/// Takes vectors, and builds an ``HNSWIndex`` of them.
///
/// **Memory.** Holds the vectors as floats, and twice while the index is built. **Determinism.** The
/// same vectors in the same order, with the same configuration, give the same index on any processor
/// and with any number of threads. **Threads.** One caller at a time.
public struct HNSWBuilder: ~Copyable {
    public let dimensions: Int
    public let metric: Metric
    public let configuration: HNSWConfiguration
    public var count: Int { vectors.count }

    private var vectors: StagedVectors

    /// An empty builder. `expectedCount` vectors need no growth, each of which copies what there is.
    /// Throws ``VectorError/Code/invalidDimensions``, ``VectorError/Code/invalidConfiguration`` or
    /// ``VectorError/Code/outOfMemory``.
    public init(
        dimensions: Int, metric: Metric, configuration: HNSWConfiguration = .init(),
        expectedCount: Int = 0
    ) throws(VectorError) {
        try configuration.validate()
        vectors = try StagedVectors(
            dimensions: dimensions, stride: dimensions, metric: metric,
            expectedCount: expectedCount)
        self.dimensions = dimensions
        self.metric = metric
        self.configuration = configuration
    }

    /// Adds a vector under an id that no other has. Amortised O(dimensions).
    ///
    /// Throws as ``FlatIndex/validate(_:dimensions:)``, and ``VectorError/Code/full`` or
    /// ``VectorError/Code/outOfMemory``; the vector is not there then. Whether an id comes twice is
    /// looked at by ``build(threads:progress:)``.
    public mutating func append(id: UInt64, vector: Span<Float>) throws(VectorError) {
        try vectors.append(id: id, vector: vector, maximum: HNSWIndex.maximumCount)
    }

    /// Builds the index. O(n log n) distances, on `threads` threads of which the calling one is the
    /// first: a server calls it from a thread that may be busy for long. `progress` is told, by one
    /// thread at a time, how many nodes are in. `isCancelled` is asked now and then; once it says so it must
    /// not take it back.
    ///
    /// Throws ``VectorError/Code/duplicateID`` when an id came twice,
    /// ``VectorError/Code/cancelled`` and ``VectorError/Code/outOfMemory``.
    public consuming func build(
        threads: Int = 1, progress: @escaping @Sendable (Int) -> Void = { _ in },
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws(VectorError) -> HNSWIndex {
        precondition(threads > 0, "expected at least one thread, found \(threads)")
        try vectors.checkUnique()
        let ids = vectors.ids
        let floats = UnsafePointer(vectors.rows)
        let order = NodeOrder(
            representatives: EqualVectors.representatives(
                floats, stride: dimensions, dimensions: dimensions, count: count),
            neighbors: configuration.neighbors, seed: configuration.seed)
        guard order.nodeCount > 0 else {
            return HNSWIndex(
                emptyOf: dimensions, metric: metric, configuration: configuration)
        }
        let rowOfNode = order.starts.dropLast().map { order.vectors[Int($0)] }
        let source = NodeSource(
            rows: floats, dimensions: dimensions, rowCount: count, rowOfNode: rowOfNode,
            threads: threads)
        let eightBits = ScalarQuantizer(
            bits: 8, metric: metric, dimensions: dimensions, rows: floats, stride: dimensions,
            count: count)
        let codes = try source.encoded(by: eightBits)
        let graph = try Graph(
            GraphShape(counts: order.levelCounts, degree: 2 * configuration.neighbors))
        // What could be kept, the best last where there is nothing to tell by.
        var candidates: [(Quantization, NodeRows)] = []
        let kept =
            configuration.quantization == .auto ? [.sq4, .sq8] : [configuration.quantization]
        for quantization in kept {
            candidates.append(
                (quantization, try source.rows(quantization, eightBits: codes, metric)))
        }
        let exact =
            configuration.keptBesideCodes == .none
            ? nil : try source.exactRows(configuration.reranking)
        var configuration = configuration
        configuration.reranking = exact?.reranking ?? configuration.reranking
        configuration.quantization = kept[kept.count - 1]
        var parts = HNSWParts(
            graph: graph, rows: candidates[kept.count - 1].1, exact: exact,
            ids: .copy(of: (0..<order.nodeCount).map { UInt64($0) }))
        let construction = GraphConstruction(
            graph: graph, rows: codes.kernel, configuration: configuration, threads: threads,
            progress: progress, isCancelled: isCancelled)
        let inside = order.nodeCount - RecallProbe.heldOut(of: order.nodeCount)
        var calibration = RecallCalibration(points: [])
        construction.run(through: inside) {
            if isCancelled() { return }
            var least = Double.infinity
            for (quantization, rows) in candidates {
                var tried = (configuration: configuration, parts: parts)
                tried.configuration.quantization = quantization
                tried.parts.rows = rows
                let nodes = HNSWIndex(
                    dimensions: dimensions, metric: metric, configuration: tried.configuration,
                    parts: tried.parts, calibration: calibration)
                let probe = RecallProbe(index: nodes, nodeCount: inside, source: source)
                let found = probe.run()
                let cost = probe.cost(found)
                if cost < least || quantization == kept.last && least == .infinity {
                    (least, calibration) = (cost, found)
                    (configuration, parts) = tried
                }
            }
        }
        candidates = []
        if isCancelled() { throw VectorError(.cancelled, "the building of a graph") }
        var repair = GraphRepair(
            graph, rows: codes.kernel, ef: configuration.efConstruction)
        _ = repair.run()
        parts.ids = .copy(of: order.vectors.map { ids[Int($0)] })
        parts.starts = order.hasEqualVectors ? .copy(of: order.starts) : nil
        return HNSWIndex(
            dimensions: dimensions, metric: metric, configuration: configuration, parts: parts,
            calibration: calibration)
    }
}
