internal import CCordwoodKernels
internal import CordwoodStorage

/// What product codes of one byte a part mean (Jégou, Douze and Schmid, TPAMI 2011). Immutable.
final class ProductCodes: @unchecked Sendable {
    // Sendable although it holds unsafe memory, which nobody writes once it is made.

    /// Rows that the centroids are trained with.
    static let sampleRows = 32_768
    private static let iterations = 8
    private static let centroidsOfPart = Int(CORDWOOD_PRODUCT_CENTROIDS)

    let kernel: cordwood_products
    private let centroids: UnsafeMutablePointer<Float>

    var parts: Int { kernel.parts }
    var dimensions: Int { kernel.dimensions }
    /// Floats of a query's table.
    var tableCount: Int { Self.tableCount(parts: parts) }

    static func tableCount(parts: Int) -> Int { parts * centroidsOfPart }

    static func byteCount(dimensions: Int) -> Int { dimensions * centroidsOfPart * 4 }

    private init(parts: Int, metric: Metric, dimensions: Int) {
        centroids = .allocate(capacity: dimensions * Self.centroidsOfPart)
        kernel = cordwood_products(
            dimensions: dimensions, parts: parts, metric: metric.kernelMetric,
            base: metric.kernelBase, centroids: centroids)
    }

    deinit { centroids.deallocate() }

    /// Trains the centroids with some of the rows. O(sample × dimensions), on `threads` threads; the same
    /// with any number of them.
    convenience init(
        parts: Int, metric: Metric, dimensions: Int, rows: UnsafePointer<Float>, stride: Int,
        sample chosen: [UInt32], threads: Int
    ) {
        self.init(parts: parts, metric: metric, dimensions: dimensions)
        let count = chosen.count
        let sample = SharedFloats(count: count * dimensions)
        for row in 0..<count {
            let source = rows + Int(chosen[row]) * stride
            (sample.base + row * dimensions).update(from: source, count: dimensions)
        }
        let scratchCount = cordwood_products_train_scratch(count)
        let scratch = SharedFloats(count: scratchCount * threads)
        ParallelWork.run(0..<parts, chunk: 1, threads: threads) { [self] thread, parts in
            for part in parts {
                withUnsafePointer(to: kernel) {
                    cordwood_products_train(
                        $0, part, sample.base, dimensions, count, Self.iterations,
                        scratch.base + thread * scratchCount, centroids)
                }
            }
        }
    }

    /// What ``encoded`` says, or nil where that is not as many finite numbers as there must be.
    convenience init?(parts: Int, metric: Metric, dimensions: Int, encoded: MemorySlice) {
        guard encoded.count == Self.byteCount(dimensions: dimensions) else { return nil }
        self.init(parts: parts, metric: metric, dimensions: dimensions)
        for place in 0..<dimensions * Self.centroidsOfPart {
            let value = Float(
                bitPattern: encoded.unsafeBytes.number(4 * place, UInt32.self))
            guard value.isFinite else { return nil }
            centroids[place] = value
        }
    }

    var encoded: MemorySlice {
        .copy(
            of: UnsafeBufferPointer(start: centroids, count: dimensions * Self.centroidsOfPart)
                .map { $0.bitPattern.littleEndian })
    }

    /// Writes a query's distances to all centroids: ``tableCount`` floats.
    func fill(table: UnsafeMutablePointer<Float>, for query: UnsafePointer<Float>) {
        withUnsafePointer(to: kernel) { cordwood_products_table($0, query, table) }
    }

    /// Writes code i for the floats of row `order[i]`, for each i of a range, at its place.
    func encode(
        _ rows: UnsafePointer<Float>, stride: Int, order: UnsafePointer<UInt32>,
        _ range: Range<Int>, into codes: UnsafeMutablePointer<UInt8>
    ) {
        withUnsafePointer(to: kernel) {
            cordwood_products_encode(
                $0, rows, stride, order + range.lowerBound, range.count,
                codes + range.lowerBound * parts)
        }
    }
}

/// Floats that threads share; who writes which is theirs to say.
final class SharedFloats: @unchecked Sendable {
    let base: UnsafeMutablePointer<Float>

    init(count: Int) {
        base = .allocate(capacity: max(count, 1))
        base.initialize(repeating: 0, count: max(count, 1))
    }

    deinit { base.deallocate() }
}
