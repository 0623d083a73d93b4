import CBenchmarkBLAS
import CBenchmarkLimits

/// What one thread of the machine can do with the same bytes: read them, and multiply them.
///
/// A single search cannot be faster than the sum, which reads every row once and does as little as
/// can be done; a batch cannot be faster than the matrix product that it contains.
final class LimitsProbe {
    /// Rows of one product: the same work for OpenBLAS whatever the set.
    private static let productRows = 4096
    private static let productQueries = 1000
    private static let rowMultiple = 16
    /// Floats that one measurement sums at least.
    private static let summedFloats = 1 << 28

    private(set) var sumGigabytesPerSecond: [Double] = []
    private(set) var productGigaflops: [Double] = []

    private let rows: UnsafeMutablePointer<Float>
    private let count: Int
    private let stride: Int
    /// Floats, a multiple of what the sum takes at a time.
    private let allocated: Int
    private var sum: Float = 0

    init(_ set: VectorSet) throws {
        stride = (set.dimensions + Self.rowMultiple - 1) / Self.rowMultiple * Self.rowMultiple
        count = set.count
        allocated = (count * stride + 127) / 128 * 128
        guard let rows = benchmark_allocate(allocated) else {
            throw BenchError("no memory for \(allocated) floats")
        }
        self.rows = rows
        var target = rows
        try set.forEachRow { _, vector in
            vector.withUnsafeBufferPointer { target.update(from: $0.baseAddress!, count: $0.count) }
            target += stride
        }
    }

    deinit { benchmark_free(rows, allocated) }

    static var sumISA: String { String(cString: benchmark_sum_isa()) }

    /// OpenBLAS's version and the processor that its kernels are written for.
    static var productLibrary: String {
        let words = String(cString: openblas_get_config()).split(separator: " ")
        return words.prefix(2).joined(separator: " ") + " "
            + String(cString: openblas_get_corename())
    }

    /// Measures both once.
    func measure() {
        let clock = ContinuousClock()
        // A small set is summed many times over, since one pass would be too short to time.
        let passes = max(3, Self.summedFloats / allocated)
        let time = clock.measure {
            for _ in 0..<passes { sum += benchmark_sum(rows, allocated) }
        }
        let bytes = Double(passes) * Double(allocated * 4)
        sumGigabytesPerSecond.append(bytes / 1e9 / (time / .seconds(1)))
        productGigaflops.append(measureProduct(clock))
    }

    private func measureProduct(_ clock: ContinuousClock) -> Double {
        let rows = min(Self.productRows, count)
        let queries = min(Self.productQueries, count)
        let products = UnsafeMutablePointer<Float>.allocate(capacity: rows * queries)
        defer { products.deallocate() }
        let starts = Array(Swift.stride(from: 0, through: count - rows, by: rows).prefix(16))
        let time = clock.measure {
            for start in starts {
                cblas_sgemm(
                    CblasRowMajor, CblasNoTrans, CblasTrans, Int32(queries), Int32(rows),
                    Int32(stride), 1, self.rows, Int32(stride), self.rows + start * stride,
                    Int32(stride), 0, products, Int32(rows))
            }
            sum += products[0]
        }
        let operations = 2.0 * Double(queries * rows) * Double(stride * starts.count)
        return operations / 1e9 / (time / .seconds(1))
    }
}
