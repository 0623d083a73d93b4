internal import CCordwoodKernels

/// Takes vectors, and builds an ``HNSWIndex`` of them.
///
/// **Memory.** Holds the vectors as floats, and twice while the index is built. **Determinism.** The
/// same vectors in the same order, with the same configuration, give the same index on any processor
/// and with any number of threads. **Threads.** One caller at a time.
public struct HNSWBuilder: ~Copyable {
    private static let firstCapacity = 1024

    public let dimensions: Int
    public let metric: Metric
    public let configuration: HNSWConfiguration
    public private(set) var count = 0

    private var ids: [UInt64] = []
    private var rows: MappedMemory
    private var capacity: Int

    /// An empty builder. `expectedCount` vectors need no growth, each of which copies what there is.
    /// Throws ``VectorError/Code/invalidDimensions``, ``VectorError/Code/invalidConfiguration`` or
    /// ``VectorError/Code/outOfMemory``.
    public init(
        dimensions: Int, metric: Metric, configuration: HNSWConfiguration = .init(),
        expectedCount: Int = 0
    ) throws(VectorError) {
        try FlatIndex.validate(dimensions: dimensions)
        try configuration.validate()
        let capacity = max(expectedCount, Self.firstCapacity)
        rows = try Self.memory(capacity: capacity, dimensions: dimensions)
        self.capacity = capacity
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
        try FlatIndex.validate(vector, dimensions: dimensions)
        guard count < HNSWIndex.maximumCount else {
            throw VectorError(.full, "an index holds at most \(HNSWIndex.maximumCount) vectors")
        }
        if count == capacity { try grow() }
        let row = rows.bound(to: Float.self, capacity: capacity * dimensions) + count * dimensions
        vector.withUnsafeBufferPointer { vector in
            if metric == .cosine {
                cordwood_f32_normalize(vector.baseAddress!, dimensions, row)
            } else {
                row.update(from: vector.baseAddress!, count: dimensions)
            }
        }
        ids.append(id)
        count += 1
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
        try Self.checkUnique(ids)
        let floats = rows.bound(to: Float.self, capacity: capacity * dimensions)
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
            rows: floats, dimensions: dimensions, rowOfNode: rowOfNode, threads: threads)
        let eightBits = ScalarQuantizer(
            bits: 8, metric: metric, dimensions: dimensions, rows: floats, stride: dimensions,
            count: count)
        let codes = try source.encoded(by: eightBits)
        let graph = try Graph(
            GraphShape(counts: order.levelCounts, degree: 2 * configuration.neighbors))
        let rows: NodeRows
        switch configuration.quantization {
        case .none: rows = try source.copied()
        case .sq8: rows = codes
        case .sq4, .pq4, .pq8, .rabitq, .auto:
            // The configuration was validated: only sq4 is left.
            rows = try source.encoded(
                by: ScalarQuantizer(
                    bits: 4, metric: metric, dimensions: dimensions, rows: floats,
                    stride: dimensions, count: count))
        }
        var parts = HNSWParts(
            graph: graph, rows: rows,
            exact: configuration.keepsExactRows ? try source.copied() : nil,
            ids: .copy(of: (0..<order.nodeCount).map { UInt64($0) }))
        let construction = GraphConstruction(
            graph: graph, rows: codes.kernel, configuration: configuration, threads: threads,
            progress: progress, isCancelled: isCancelled)
        let inside = order.nodeCount - RecallProbe.heldOut(of: order.nodeCount)
        var calibration = RecallCalibration(points: [])
        construction.run(through: inside) {
            if isCancelled() { return }
            let nodes = HNSWIndex(
                dimensions: dimensions, metric: metric, configuration: configuration,
                parts: parts, calibration: calibration)
            calibration = RecallProbe(index: nodes, nodeCount: inside, source: source).run()
        }
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

    private mutating func grow() throws(VectorError) {
        let larger = try Self.memory(capacity: 2 * capacity, dimensions: dimensions)
        larger.base.copyMemory(
            from: rows.base, byteCount: count * dimensions * MemoryLayout<Float>.stride)
        rows = larger
        capacity *= 2
    }

    private static func memory(capacity: Int, dimensions: Int) throws(VectorError) -> MappedMemory {
        let (floats, overflow) = capacity.multipliedReportingOverflow(by: dimensions)
        guard !overflow, floats < Int.max / 8 else {
            throw VectorError(.outOfMemory, "\(capacity) vectors of \(dimensions) dimensions")
        }
        return try MappedMemory(byteCount: floats * MemoryLayout<Float>.stride)
    }

    private static func checkUnique(_ ids: [UInt64]) throws(VectorError) {
        let sorted = ids.sorted()
        for (id, next) in zip(sorted, sorted.dropFirst()) where id == next {
            throw VectorError(.duplicateID, "id \(id) was added more than once")
        }
    }
}
