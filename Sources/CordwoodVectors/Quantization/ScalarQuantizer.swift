internal import CCordwoodKernels
internal import CordwoodStorage

/// What the codes of an index mean: for each dimension a center and a step. Immutable.
final class ScalarQuantizer: @unchecked Sendable {
    // Sendable although it holds unsafe memory, which nobody writes once it is made.

    /// Rows that the ranges are read from.
    static let sampleRows = 65_536
    /// In a normal distribution, this many deviations to each side leave the least error to 4 bits;
    /// the few components beyond them are cut.
    private static let deviationsOf4Bits: Float = 2.75
    /// A dimension in which all vectors are the same still has a step.
    private static let leastStep: Float = 0x1p-100

    let bits: Int
    let kernel: UnsafePointer<cordwood_quantizer>
    private let centers: UnsafeMutablePointer<Float>
    private let steps: UnsafeMutablePointer<Float>

    var dimensions: Int { kernel.pointee.dimensions }
    /// Bytes from one row to the next.
    var stride: Int { cordwood_code_stride(kernel) }
    /// Bytes of a query's components.
    var queryBytes: Int { cordwood_code_query_bytes(kernel) }

    /// Fits the ranges to `count` rows, or to a sample of them: with 8 bits all that occurs in it,
    /// with 4 bits most of it. O(sample × dimensions).
    convenience init(
        bits: Int, metric: Metric, dimensions: Int, rows: UnsafePointer<Float>, stride: Int,
        count: Int
    ) {
        self.init(bits: bits, metric: metric, dimensions: dimensions)
        fit(rows, stride, count)
    }

    /// What ``encoded`` says, or nil where that is not `dimensions` finite centers and as many steps
    /// above zero.
    convenience init?(bits: Int, metric: Metric, dimensions: Int, encoded: MemorySlice) {
        guard encoded.count == 2 * dimensions * MemoryLayout<Float>.stride else { return nil }
        self.init(bits: bits, metric: metric, dimensions: dimensions)
        let numbers = encoded.unsafeBytes
        for dimension in 0..<dimensions {
            let center = Float(bitPattern: numbers.number(4 * dimension, UInt32.self))
            let step = Float(
                bitPattern: numbers.number(4 * (dimensions + dimension), UInt32.self))
            guard center.isFinite, step.isFinite, step > 0 else { return nil }
            centers[dimension] = center
            steps[dimension] = step
        }
    }

    private init(bits: Int, metric: Metric, dimensions: Int) {
        self.bits = bits
        centers = .allocate(capacity: dimensions)
        steps = .allocate(capacity: dimensions)
        let kernel = UnsafeMutablePointer<cordwood_quantizer>.allocate(capacity: 1)
        kernel.initialize(
            to: cordwood_quantizer(
                dimensions: dimensions, bits: UInt32(bits), metric: metric.kernelMetric,
                base: metric.kernelBase, centers: centers, steps: steps))
        self.kernel = UnsafePointer(kernel)
    }

    deinit {
        centers.deallocate()
        steps.deallocate()
        kernel.deallocate()
    }

    private func fit(_ rows: UnsafePointer<Float>, _ stride: Int, _ count: Int) {
        let every = (count + Self.sampleRows - 1) / Self.sampleRows
        let sampled = (count + every - 1) / every
        let statistics = UnsafeMutablePointer<Float>.allocate(capacity: 4 * dimensions)
        defer { statistics.deallocate() }
        let (least, greatest) = (statistics, statistics + dimensions)
        let (mean, deviation) = (statistics + 2 * dimensions, statistics + 3 * dimensions)
        cordwood_column_statistics(
            rows, stride * every, sampled, dimensions, least, greatest, mean, deviation)
        let half = Float(1 << (bits - 1))
        for dimension in 0..<dimensions {
            var range = (least[dimension], greatest[dimension])
            if bits == 4 {
                let reach = Self.deviationsOf4Bits * deviation[dimension]
                range.0 = max(range.0, mean[dimension] - reach)
                range.1 = min(range.1, mean[dimension] + reach)
            }
            // Halved first: the difference of two finite floats need not be one.
            let step = (range.1 / (2 * half - 1) - range.0 / (2 * half - 1))
            steps[dimension] = max(step, Self.leastStep)
            // Of halves, since half of the steps of the widest range are more than a float holds.
            centers[dimension] = 2 * (range.0 / 2 + steps[dimension] * (half / 2))
        }
    }

    /// The centers and then the steps, as 32-bit floats.
    var encoded: MemorySlice {
        let components = 0..<dimensions
        let numbers: [Float] = components.map { centers[$0] } + components.map { steps[$0] }
        return .copy(of: numbers.map { $0.bitPattern.littleEndian })
    }

    /// Writes row i's codes for the floats of row `order[i]`.
    func encode(
        _ rows: UnsafePointer<Float>, stride: Int, order: UnsafePointer<UInt32>, count: Int,
        into codes: UnsafeMutablePointer<UInt8>
    ) {
        cordwood_encode(kernel, rows, stride, order, count, codes)
    }
}

extension Metric {
    var kernelMetric: cordwood_metric { self == .l2 ? CORDWOOD_L2 : CORDWOOD_IP }
    /// What the inner product is taken from.
    var kernelBase: Float { self == .cosine ? 1 : 0 }
}
