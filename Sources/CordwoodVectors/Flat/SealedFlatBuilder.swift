internal import CCordwoodKernels
internal import CordwoodStorage

/// Takes vectors, and builds a ``SealedFlatIndex`` of them.
///
/// **Memory.** Holds the vectors as floats, and twice while the index is built. **Determinism.** The
/// same vectors in the same order, with the same configuration, give the same index on any processor
/// and with any number of threads. **Threads.** One caller at a time.
public struct SealedFlatBuilder: ~Copyable {
    /// Vectors after which progress is told: whole blocks.
    private static let step = 256 * SealedFlatIndex.blockRows

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
        var codes: SealedFlatParts.Codes?
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
        ParallelWork.run(0..<count, chunk: SealedFlatIndex.blockRows, threads: threads) {
            _, block in
            let halves = rows.bytes.pointer(to: UInt16.self)! + block.lowerBound * stride
            cordwood_f16_decode(
                halves, block.count * stride, floats + block.lowerBound * stride)
        }
    }

    /// The codes of all rows, and the bounds of each block.
    func encoded(
        by quantizer: ScalarQuantizer, step: Int, progress: (Int) -> Void
    ) throws(VectorError) -> SealedFlatParts.Codes {
        let blockRows = SealedFlatIndex.blockRows
        let blocks = (count + blockRows - 1) / blockRows
        let boundBytes = MemoryLayout<cordwood_flat_bounds>.stride
        let codes = try MappedMemory(byteCount: count * quantizer.stride)
        codes.preferHugePages()
        let bounds = try MappedMemory(byteCount: blocks * boundBytes)
        for first in Swift.stride(from: 0, to: count, by: step) {
            let last = min(first + step, count)
            ParallelWork.run(first..<last, chunk: blockRows, threads: threads) { _, block in
                let room = codes.bound(
                    to: UInt8.self, capacity: block.count * quantizer.stride,
                    at: block.lowerBound * quantizer.stride)
                block.map { UInt32($0) }.withUnsafeBufferPointer { order in
                    quantizer.encode(
                        floats, stride: stride, order: order.baseAddress!, count: block.count,
                        into: room)
                }
                cordwood_flat_measure(
                    quantizer.kernel, row(block.lowerBound), stride, block.count, room,
                    bounds.bound(
                        to: cordwood_flat_bounds.self, capacity: 1,
                        at: block.lowerBound / blockRows * boundBytes))
            }
            progress(last)
        }
        return SealedFlatParts.Codes(
            quantizer: quantizer,
            rows: MemorySlice(codes.block(count: count * quantizer.stride)),
            bounds: MemorySlice(bounds.block(count: blocks * boundBytes)))
    }
}
