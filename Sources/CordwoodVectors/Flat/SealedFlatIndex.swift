internal import CCordwoodKernels
internal import CordwoodStorage

/// Exact search over vectors that do not change: made by a ``SealedFlatBuilder``. A ``FlatIndex`` is
/// the one whose vectors do change.
///
/// A search reads codes of 8 or 4 bits, a quarter or an eighth of the bytes, and compares with the
/// vectors themselves those whose codes say that they may be among the nearest. How much the codes of
/// each vector have rounded away was measured when the index was built, so that what they pass over is
/// known to be farther (the filter-and-refine of VA-files: Weber, Schek and Blott, VLDB 1998): results
/// are those of comparing all, bit for bit, ties by id.
///
/// **Threads.** Immutable: any number of searches may run at once, each on the thread that calls it.
public final class SealedFlatIndex: VectorIndex, @unchecked Sendable {
    // Sendable although it holds unsafe memory: nobody writes what it leads to.

    /// The most vectors that an index holds.
    public static let maximumCount = Int(Int32.max)
    private static let rowMultiple = 16

    public let dimensions: Int
    public let metric: Metric
    public let configuration: SealedFlatConfiguration
    /// How many vectors there are.
    public let count: Int
    /// Nil when the index is empty.
    let parts: SealedFlatParts?
    let kernel: UnsafeMutablePointer<cordwood_flat>

    /// `parts` are nil for an index of nothing.
    init(
        dimensions: Int, metric: Metric, configuration: SealedFlatConfiguration,
        parts: SealedFlatParts?
    ) {
        self.dimensions = dimensions
        self.metric = metric
        self.configuration = configuration
        self.parts = parts
        count = (parts?.ids.count ?? 0) / MemoryLayout<UInt64>.stride
        let padded = Self.paddedDimensions(dimensions)
        kernel = .allocate(capacity: 1)
        kernel.initialize(
            to: cordwood_flat(
                codes: parts?.codes?.kernel ?? cordwood_flat_codes(), rows: parts?.rows.kernel,
                stride: configuration.reranking.rowBytes(padded),
                element: configuration.reranking.element, dimensions: padded,
                metric: metric.kernelMetric, base: metric.kernelBase,
                ids: parts?.ids.pointer(to: UInt64.self), count: UInt32(count)))
    }

    deinit { kernel.deallocate() }

    /// Components of a row, the last of which are zeros: sums have the bits that those of a
    /// ``FlatIndex`` have, where there are none.
    static func paddedDimensions(_ dimensions: Int) -> Int {
        (dimensions + rowMultiple - 1) / rowMultiple * rowMultiple
    }

    /// The id of a vector by its place, 0 to ``count`` - 1: the order in which they were added.
    public func id(at place: Int) -> UInt64 {
        precondition((0..<count).contains(place), "expected 0..<\(count), found \(place)")
        return kernel.pointee.ids[place]
    }

    /// Bytes that the index takes, without the memory of searches: some 40 kB a query, and 48 bytes for
    /// each result that is asked for.
    public var bytesAllocated: Int { parts?.byteCount ?? 0 }
}

/// What an index that is not empty is made of, as a file has it and as memory does.
struct SealedFlatParts: Sendable {
    var codes: SealedFlatCodes?
    var rows: ExactRows
    var ids: MemorySlice

    var byteCount: Int {
        (codes?.byteCount ?? 0) + rows.bytes.count + ids.count
    }
}
