internal import CCordwoodKernels
internal import CordwoodStorage

/// Takes vectors, and builds a ``SealedFlatIndex`` of them.
///
/// **Memory.** Holds the vectors as floats, and twice while the index is built. **Determinism.** The
/// same vectors in the same order, with the same configuration, give the same index on any processor
/// and with any number of threads. **Threads.** One caller at a time.
public struct SealedFlatBuilder: ~Copyable {
    /// Vectors after which progress is told: whole blocks.
    private static let step = 256 * SealedFlatCodes.blockRows

    public let dimensions: Int
    public let metric: Metric
    public let configuration: SealedFlatConfiguration
    public var count: Int { vectors.count }

    private var vectors: StagedVectors

    /// An empty builder. `expectedCount` vectors need no growth, each of which copies what there is.
    /// Throws ``VectorError/Code/invalidDimensions``, ``VectorError/Code/invalidConfiguration`` or
    /// ``VectorError/Code/outOfMemory``.
    public init(
        dimensions: Int, metric: Metric, configuration: SealedFlatConfiguration = .init(),
        expectedCount: Int = 0
    ) throws(VectorError) {
        try configuration.validate()
        try FlatIndex.validate(dimensions: dimensions)
        vectors = try StagedVectors(
            dimensions: dimensions, stride: SealedFlatIndex.paddedDimensions(dimensions),
            metric: metric, expectedCount: expectedCount)
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
        try vectors.append(id: id, vector: vector, maximum: SealedFlatIndex.maximumCount)
    }

    /// Builds the index. O(count × dimensions), on `threads` threads of which the calling one is the
    /// first. `progress` is told, by one thread at a time, how many vectors are in.
    ///
    /// Throws ``VectorError/Code/duplicateID`` when an id came twice, and
    /// ``VectorError/Code/outOfMemory``.
    public consuming func build(
        threads: Int = 1, progress: @escaping @Sendable (Int) -> Void = { _ in }
    ) throws(VectorError) -> SealedFlatIndex {
        precondition(threads > 0, "expected at least one thread, found \(threads)")
        try vectors.checkUnique()
        guard count > 0 else {
            return SealedFlatIndex(
                dimensions: dimensions, metric: metric, configuration: configuration, parts: nil)
        }
        let source = SealedFlatSource(
            floats: vectors.rows, stride: vectors.stride, count: count, threads: threads)
        let rows = try ExactRows(
            configuration.reranking, count: count, components: vectors.stride, threads: threads
        ) { source.row($0) }
        // Codes are of what distances are computed of.
        if rows.reranking == .f16 { source.replace(byHalves: rows) }
        var codes: SealedFlatCodes?
        if let bits = configuration.codeBits {
            let quantizer = ScalarQuantizer(
                bits: bits, metric: metric, dimensions: dimensions, rows: source.row(0),
                stride: source.stride, count: count)
            codes = try source.encoded(by: quantizer, step: Self.step, progress: progress)
        } else {
            progress(count)
        }
        var configuration = configuration
        configuration.reranking = rows.reranking
        return SealedFlatIndex(
            dimensions: dimensions, metric: metric, configuration: configuration,
            parts: SealedFlatParts(codes: codes, rows: rows, ids: .copy(of: vectors.ids)))
    }
}

/// The floats that an index is built of.
private struct SealedFlatSource: @unchecked Sendable {
    // Sendable although it holds unsafe memory: threads write to different rows of it.

    let floats: UnsafeMutablePointer<Float>
    let stride: Int
    let count: Int
    let threads: Int

    func row(_ number: Int) -> UnsafePointer<Float> { UnsafePointer(floats + number * stride) }

    /// Makes the floats what their halves stand for.
    func replace(byHalves rows: ExactRows) {
        ParallelWork.run(0..<count, chunk: SealedFlatCodes.blockRows, threads: threads) {
            _, block in
            let halves = rows.bytes.pointer(to: UInt16.self)! + block.lowerBound * stride
            cordwood_f16_decode(
                halves, block.count * stride, floats + block.lowerBound * stride)
        }
    }

    /// The codes of all rows.
    func encoded(
        by quantizer: ScalarQuantizer, step: Int, progress: (Int) -> Void
    ) throws(VectorError) -> SealedFlatCodes {
        let blockRows = SealedFlatCodes.blockRows
        let sizes = SealedFlatCodes.Sizes(quantizer, rows: count)
        let codes = try MappedMemory(byteCount: sizes.codes)
        codes.preferHugePages()
        let terms = try MappedMemory(byteCount: sizes.terms)
        let errors = try MappedMemory(byteCount: sizes.errors)
        let bounds = try MappedMemory(byteCount: sizes.bounds)
        for first in Swift.stride(from: 0, to: count, by: step) {
            let last = min(first + step, count)
            ParallelWork.run(first..<last, chunk: blockRows, threads: threads) { _, block in
                let before = SealedFlatCodes.Sizes(quantizer, rows: block.lowerBound)
                let own = SealedFlatCodes.Sizes(quantizer, rows: block.count)
                cordwood_flat_encode(
                    quantizer.kernel, row(block.lowerBound), stride, block.count,
                    codes.bound(to: UInt8.self, capacity: own.codes, at: before.codes),
                    terms.bound(
                        to: Float.self, capacity: own.terms / MemoryLayout<Float>.stride,
                        at: before.terms),
                    errors.bound(to: UInt8.self, capacity: own.errors, at: before.errors),
                    bounds.bound(to: cordwood_flat_bounds.self, capacity: 1, at: before.bounds))
            }
            progress(last)
        }
        return SealedFlatCodes(
            quantizer: quantizer, codes: MemorySlice(codes.block(count: sizes.codes)),
            terms: sizes.terms == 0 ? nil : MemorySlice(terms.block(count: sizes.terms)),
            errors: MemorySlice(errors.block(count: sizes.errors)),
            bounds: MemorySlice(bounds.block(count: sizes.bounds)))
    }
}
