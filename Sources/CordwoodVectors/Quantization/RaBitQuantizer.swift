internal import CCordwoodKernels
internal import CordwoodStorage

/// How vectors are kept by ``Quantization/rabitq``.
struct RaBitQConfiguration: Sendable, Hashable {
    static let bitsRange = 1...Int(CORDWOOD_RABITQ_MAXIMUM_BITS)
    static let epsilonRange: ClosedRange<Float> = 0...16

    /// To each component, of which the first is its sign.
    var bits = 1
    /// How many deviations of the estimate a bound is away from it: a search that leaves out rows by
    /// their bounds misses one that it should have found about as often as a normal variable is so far
    /// below its mean, 3 times in 100 with 1.9.
    var epsilon: Float = 1.9
    /// Of the rotation.
    var seed: UInt64 = 0

    /// Throws ``VectorError/Code/invalidConfiguration``.
    func validate() throws(VectorError) {
        guard Self.bitsRange ~= bits else {
            throw VectorError(
                .invalidConfiguration,
                "bits: expected \(Self.bitsRange.lowerBound) to \(Self.bitsRange.upperBound), found "
                    + "\(bits)")
        }
        guard Self.epsilonRange ~= epsilon else {
            throw VectorError(
                .invalidConfiguration,
                "epsilon: expected \(Self.epsilonRange.lowerBound) to "
                    + "\(Self.epsilonRange.upperBound), found \(epsilon)")
        }
    }
}

/// RaBitQ (Gao and Long, SIGMOD 2024, arXiv 2405.12497; several bits: arXiv 2409.09913): what codes of
/// vectors relative to a center mean. Immutable.
///
/// Nothing is trained. Vectors lose the origin, are rotated, lose their list's center, and keep of what
/// is left the direction, by a few bits to each component, and three or five numbers, by which a distance
/// is estimated without bias and with a bound that holds as often as ``RaBitQConfiguration/epsilon`` says.
final class RaBitQuantizer: @unchecked Sendable {
    // Sendable although it holds unsafe memory, which nobody writes once it is made.

    /// Rows that are rotated at a time: one block.
    private static let chunk = Int(CORDWOOD_RABITQ_BLOCK)
    private static let headBytes = 16

    let configuration: RaBitQConfiguration
    let metric: Metric
    let rotation: RandomRotation
    let kernel: UnsafePointer<cordwood_rabitq>
    /// The rotation of what vectors differ by from the origin.
    let rotationKernel: UnsafePointer<cordwood_rotation>
    /// What is taken from every vector before it is rotated: the mean for L2, so that vectors far from
    /// zero and near to each other lose nothing to rounding, and zeros for inner products.
    private let origin: UnsafeMutablePointer<Float>

    var dimensions: Int { rotation.dimensions }
    /// Bytes of a row beside the blocks; see ``blockBytes(count:)``.
    var rowBytes: Int { cordwood_rabitq_row_bytes(kernel) }
    /// Bytes that a query prepared for a list needs.
    var queryBytes: Int { cordwood_rabitq_query_bytes(kernel) }

    /// For vectors whose mean is that of `count` rows. The configuration must be valid. O(count ×
    /// dimensions) for L2.
    convenience init(
        _ configuration: RaBitQConfiguration, metric: Metric, dimensions: Int,
        rows: UnsafePointer<Float>, stride: Int, count: Int
    ) {
        self.init(configuration, metric: metric, dimensions: dimensions)
        guard metric == .l2, count > 0 else { return }
        let unused = UnsafeMutablePointer<Float>.allocate(capacity: 3 * dimensions)
        defer { unused.deallocate() }
        cordwood_column_statistics(
            rows, stride, count, dimensions, unused, unused + dimensions, origin,
            unused + 2 * dimensions)
    }

    private init(_ configuration: RaBitQConfiguration, metric: Metric, dimensions: Int) {
        self.configuration = configuration
        self.metric = metric
        rotation = RandomRotation(dimensions: dimensions, seed: configuration.seed)
        origin = .allocate(capacity: dimensions)
        origin.initialize(repeating: 0, count: dimensions)
        let kernel = UnsafeMutablePointer<cordwood_rabitq>.allocate(capacity: 1)
        kernel.initialize(
            to: cordwood_rabitq(
                dimensions: rotation.rotatedDimensions, bits: UInt32(configuration.bits),
                metric: metric.kernelMetric, base: metric.kernelBase,
                epsilon: configuration.epsilon))
        self.kernel = UnsafePointer(kernel)
        let rotationKernel = UnsafeMutablePointer<cordwood_rotation>.allocate(capacity: 1)
        rotationKernel.initialize(to: rotation.kernel(origin: origin))
        self.rotationKernel = UnsafePointer(rotationKernel)
    }

    deinit {
        origin.deallocate()
        kernel.deallocate()
        rotationKernel.deallocate()
    }

    // MARK: Bytes

    /// What ``encoded`` says. Throws ``VectorError/Code/damaged`` unless that is a valid configuration and
    /// `dimensions` finite components of the origin.
    convenience init(metric: Metric, dimensions: Int, encoded: MemorySlice) throws(VectorError) {
        let expected = Self.headBytes + dimensions * MemoryLayout<Float>.stride
        guard encoded.count == expected else {
            throw VectorError(
                .damaged, "RaBitQ: expected \(expected) bytes, found \(encoded.count)")
        }
        let bytes = encoded.unsafeBytes
        let configuration = RaBitQConfiguration(
            bits: Int(bytes.number(0, UInt32.self)),
            epsilon: Float(bitPattern: bytes.number(4, UInt32.self)),
            seed: bytes.number(8, UInt64.self))
        do throws(VectorError) { try configuration.validate() } catch {
            throw VectorError(.damaged, "RaBitQ: \(error.detail)")
        }
        self.init(configuration, metric: metric, dimensions: dimensions)
        for dimension in 0..<dimensions {
            let component = Float(
                bitPattern: bytes.number(Self.headBytes + 4 * dimension, UInt32.self))
            guard component.isFinite else {
                throw VectorError(
                    .damaged, "RaBitQ: component \(dimension) of the origin is \(component)")
            }
            origin[dimension] = component
        }
    }

    /// The configuration and the origin; `docs/file-formats.md` has the bytes.
    var encoded: MemorySlice {
        var writer = ByteWriter(count: Self.headBytes + dimensions * MemoryLayout<Float>.stride)
        writer.littleEndian(UInt32(configuration.bits))
        writer.littleEndian(configuration.epsilon.bitPattern)
        writer.littleEndian(configuration.seed)
        for dimension in 0..<dimensions { writer.littleEndian(origin[dimension].bitPattern) }
        return MemorySlice(writer.block)
    }

    // MARK: Vectors

    /// Writes a vector, or a list's centroid, as codes and queries are made of it: without the origin,
    /// and rotated.
    func rotate(_ vector: UnsafePointer<Float>, into rotated: UnsafeMutablePointer<Float>) {
        cordwood_rotate(rotationKernel, vector, rotated)
    }

    /// Bytes of the blocks of a list of `count` rows: of each row its signs and three numbers. The other
    /// bits and two numbers more are ``rowBytes`` beside them.
    func blockBytes(count: Int) -> Int { cordwood_rabitq_block_bytes(kernel, count) }

    /// Writes a list's codes: those of its row i are those of the row of floats `order[i]`, relative to a
    /// center that was rotated. The list's blocks must be zeros. O(count × dimensions), and twice as much
    /// again to each bit but the first; the same bytes on every instruction set.
    func encode(
        _ rows: UnsafePointer<Float>, stride: Int, order: UnsafePointer<UInt32>, count: Int,
        center: UnsafePointer<Float>, blocks: UnsafeMutablePointer<UInt8>,
        extra: UnsafeMutablePointer<UInt8>
    ) {
        let width = rotation.rotatedDimensions
        let rotated = AlignedFloats(count: Self.chunk * width)
        for first in Swift.stride(from: 0, to: count, by: Self.chunk) {
            let present = min(Self.chunk, count - first)
            for row in 0..<present {
                rotate(
                    rows + Int(order[first + row]) * stride, into: rotated.base + row * width)
            }
            cordwood_rabitq_encode(kernel, center, rotated.base, first, present, blocks, extra)
        }
    }
}
