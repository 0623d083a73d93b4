/// Takes vectors, and builds an ``IVFIndex`` of them.
///
/// **Memory.** Holds the vectors as floats, and twice while the index is built. **Determinism.** The same
/// vectors in the same order, with the same configuration, give the same index with any number of
/// threads on one machine. On another processor, or with another OpenBLAS, sums of products may be
/// rounded differently, and the index be another that is as good. **Threads.** One caller at a time.
public struct IVFBuilder: ~Copyable {
    public let configuration: IVFConfiguration
    private var vectors: StagedVectors

    public var dimensions: Int { vectors.dimensions }
    public var metric: Metric { vectors.metric }
    public var count: Int { vectors.count }

    /// An empty builder. `expectedCount` vectors need no growth, each of which copies what there is.
    /// Throws ``VectorError/Code/invalidDimensions``, ``VectorError/Code/invalidConfiguration`` or
    /// ``VectorError/Code/outOfMemory``.
    public init(
        dimensions: Int, metric: Metric, configuration: IVFConfiguration = .init(),
        expectedCount: Int = 0
    ) throws(VectorError) {
        try configuration.validate()
        vectors = try StagedVectors(
            dimensions: dimensions, stride: dimensions, metric: metric, expectedCount: expectedCount
        )
        self.configuration = configuration
    }

    /// Adds a vector under an id that no other has. Amortised O(dimensions).
    ///
    /// Throws as ``FlatIndex/validate(_:dimensions:)``, and ``VectorError/Code/full`` or
    /// ``VectorError/Code/outOfMemory``; the vector is not there then. Whether an id comes twice is
    /// looked at by ``build(threads:progress:)``.
    public mutating func append(id: UInt64, vector: Span<Float>) throws(VectorError) {
        try vectors.append(id: id, vector: vector, maximum: IVFIndex.maximumCount)
    }

    /// Builds the index. O(n × root of lists × dimensions) multiply-adds, on `threads` threads of which
    /// the calling one is the first: a server calls it from a thread that may be busy for long.
    /// `progress` is told by the calling thread, after each part of the work, how many vectors are in
    /// lists, and at last how many there are.
    ///
    /// `isCancelled` is asked between the parts of the work; once it says so it must not take it back.
    ///
    /// Throws ``VectorError/Code/duplicateID`` when an id came twice, ``VectorError/Code/cancelled``
    /// and ``VectorError/Code/outOfMemory``.
    public consuming func build(
        threads: Int = 1, progress: @escaping @Sendable (Int) -> Void = { _ in },
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws(VectorError) -> IVFIndex {
        precondition(threads > 0, "expected at least one thread, found \(threads)")
        try vectors.checkUnique()
        MatrixProduct.prepare()
        return try IVFConstruction(
            rows: vectors.rows, ids: vectors.ids, dimensions: dimensions, metric: metric,
            configuration: configuration, threads: threads, progress: progress,
            isCancelled: isCancelled
        ).run()
    }
}
