internal import CCordwoodKernels
internal import CordwoodStorage

/// What the codes of groups of components mean: 16 or 256 centroids to each group. Immutable.
///
/// Rotating vectors before they are cut into groups, at random or as is best for them (OPQ: Ge, He, Ke
/// and Sun, CVPR 2013), found less than half a neighbour in a hundred more in descriptors of images and in
/// vectors of words, whose nearest are compared again anyway: groups are of components as they come.
final class ProductQuantizer: @unchecked Sendable {
    // Sendable although it holds unsafe memory, which nobody writes once it is made.

    /// Rows that centroids are made of, to each of them.
    private static let rowsPerCentroid = 256
    private static let steps = 12

    let kernel: UnsafePointer<cordwood_pq>
    let dimensions: Int
    private let centroids: UnsafeMutablePointer<Float>
    private let centroidFloats: Int

    var groups: Int { kernel.pointee.groups }
    var width: Int { kernel.pointee.width }
    var bits: Int { Int(kernel.pointee.bits) }
    /// Floats of a row: the dimensions and zeros up to whole groups.
    var paddedDimensions: Int { groups * width }
    var blockBytes: Int { cordwood_pq_block_bytes(kernel) }

    /// How many rows are worth learning from.
    static func sampleRows(bits: Int) -> Int { rowsPerCentroid << bits }

    /// The width of groups of so many components that is usual, or as wide as it has to be: there are at
    /// most so many groups.
    static func width(_ wanted: Int, dimensions: Int) -> Int {
        let most = Int(CORDWOOD_PQ_MAXIMUM_GROUPS)
        return max(wanted, (dimensions + most - 1) / most)
    }

    /// Learns the centroids of groups of `width` components from rows of differences, each padded with
    /// zeros to whole groups; at least one. O(rows × dimensions × centroids).
    convenience init(
        bits: Int, width: Int, metric: Metric, dimensions: Int, rows: FloatMatrix, threads: Int
    ) {
        self.init(bits: bits, width: width, metric: metric, dimensions: dimensions)
        precondition(rows.columns == paddedDimensions && rows.rows > 0)
        let training = Training(self, rows)
        ParallelWork.run(0..<groups, chunk: 1, threads: threads) { _, groups in
            for group in groups { training.run(group) }
        }
    }

    /// What ``encoded`` says, or nil where that is not as many finite floats as there have to be.
    convenience init?(
        bits: Int, width: Int, metric: Metric, dimensions: Int, encoded: MemorySlice
    ) {
        guard
            encoded.count
                == Self.byteCount(bits: bits, width: width, dimensions: dimensions)
        else { return nil }
        self.init(bits: bits, width: width, metric: metric, dimensions: dimensions)
        for place in 0..<centroidFloats {
            let float = Float(bitPattern: encoded.unsafeBytes.number(4 * place, UInt32.self))
            guard float.isFinite else { return nil }
            centroids[place] = float
        }
    }

    private init(bits: Int, width: Int, metric: Metric, dimensions: Int) {
        self.dimensions = dimensions
        let groups = (dimensions + width - 1) / width
        centroidFloats = groups * width << bits
        centroids = .allocate(capacity: centroidFloats)
        centroids.initialize(repeating: 0, count: centroidFloats)
        let kernel = UnsafeMutablePointer<cordwood_pq>.allocate(capacity: 1)
        kernel.initialize(
            to: cordwood_pq(
                groups: groups, width: width, bits: UInt32(bits), has_terms: metric == .l2,
                centroids: centroids))
        self.kernel = UnsafePointer(kernel)
    }

    deinit {
        centroids.deallocate()
        kernel.deallocate()
    }

    static func byteCount(bits: Int, width: Int, dimensions: Int) -> Int {
        (dimensions + width - 1) / width * width << bits * MemoryLayout<Float>.stride
    }

    /// The centroids as the kernels have them, as 32-bit floats.
    var encoded: MemorySlice {
        .copy(of: (0..<centroidFloats).map { centroids[$0].bitPattern.littleEndian })
    }

    /// Lloyd's steps, a group on one thread.
    private struct Training: @unchecked Sendable {
        // Sendable although it holds unsafe memory: each group's centroids are written by one thread.

        private let quantizer: ProductQuantizer
        private let rows: FloatMatrix

        init(_ quantizer: ProductQuantizer, _ rows: FloatMatrix) {
            self.quantizer = quantizer
            self.rows = rows
        }

        func run(_ group: Int) {
            let width = quantizer.width
            let count = 1 << quantizer.bits
            let centroids = quantizer.centroids + group * width * count
            func take(_ row: Int, as centroid: Int) {
                let source = rows.row(row % rows.rows) + group * width
                for component in 0..<width {
                    centroids[component * count + centroid] = source[component]
                }
            }
            for centroid in 0..<count { take(centroid, as: centroid) }
            for step in 0..<ProductQuantizer.steps {
                var sums = [Double](repeating: 0, count: width * count)
                var counts = [UInt32](repeating: 0, count: count)
                cordwood_pq_train(
                    quantizer.kernel, group, rows.base + group * width, rows.columns, rows.rows,
                    &sums, &counts)
                for centroid in 0..<count {
                    guard counts[centroid] > 0 else {
                        // Of many equal rows; another one may be nearest to some.
                        take((step + 1) * count + centroid, as: centroid)
                        continue
                    }
                    for component in 0..<width {
                        let place = component * count + centroid
                        centroids[place] = Float(sums[place] / Double(counts[centroid]))
                    }
                }
            }
        }
    }
}
