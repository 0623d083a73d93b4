internal import CCordwoodKernels
internal import CordwoodStorage

/// Near neighbours by a graph in levels (Malkov and Yashunin, arXiv 1603.09320) over vectors that do
/// not change: made by an ``HNSWBuilder``.
///
/// Walks compare codes of 8 or 4 bits, which are a fraction of the bytes to be fetched; the nearest
/// vectors found are then compared by what is kept of them (``Reranking``). Vectors that are equal
/// share a node.
///
/// **Threads.** Immutable: any number of searches may run at once, each on the thread that calls it.
public final class HNSWIndex: VectorIndex, @unchecked Sendable {
    // Sendable although it holds unsafe memory: nobody writes what it leads to.

    /// The most vectors that an index holds.
    public static let maximumCount = Int(CORDWOOD_GRAPH_MAXIMUM_NODES)

    public let dimensions: Int
    public let metric: Metric
    public let configuration: HNSWConfiguration
    /// How many vectors there are.
    public let count: Int
    /// How many of them differ.
    public let nodeCount: Int

    /// Null when the index is empty.
    let kernel: UnsafeMutablePointer<cordwood_hnsw>?
    /// Nil when the index is empty.
    let parts: HNSWParts?
    /// What searches find, as it was measured when the index was built.
    public let calibration: RecallCalibration
    /// The nodes that stand for several vectors, in ascending order.
    let sharedNodes: [UInt32]
    let scratches = ScratchPool<SearchScratch>()

    /// An index of nothing.
    init(emptyOf dimensions: Int, metric: Metric, configuration: HNSWConfiguration) {
        self.dimensions = dimensions
        self.metric = metric
        self.configuration = configuration
        count = 0
        nodeCount = 0
        kernel = nil
        parts = nil
        sharedNodes = []
        calibration = RecallCalibration(points: [])
    }

    init(
        dimensions: Int, metric: Metric, configuration: HNSWConfiguration, parts: HNSWParts,
        calibration: RecallCalibration
    ) {
        self.dimensions = dimensions
        self.metric = metric
        self.configuration = configuration
        self.parts = parts
        self.calibration = calibration
        count = parts.ids.count / MemoryLayout<UInt64>.stride
        nodeCount = parts.graph.shape.counts[0]
        sharedNodes = parts.sharedNodes(of: nodeCount)
        let kernel = UnsafeMutablePointer<cordwood_hnsw>.allocate(capacity: 1)
        kernel.initialize(
            to: cordwood_hnsw(
                graph: parts.graph.kernel, rows: parts.rows.kernel, dimensions: dimensions,
                metric: metric.kernelMetric, base: metric.kernelBase,
                normalizes: metric == .cosine,
                exact: parts.exact?.kernel,
                exact_stride: parts.exact?.reranking.rowBytes(dimensions) ?? 0,
                exact_element: parts.exact?.element ?? CORDWOOD_F32,
                starts: parts.starts?.pointer(to: UInt32.self),
                ids: parts.ids.pointer(to: UInt64.self)))
        self.kernel = kernel
    }

    deinit { kernel?.deallocate() }

    /// The id of a vector by its place, 0 to ``count`` - 1: what a filter's bits are numbered by.
    public func id(at place: Int) -> UInt64 {
        precondition((0..<count).contains(place), "expected 0..<\(count), found \(place)")
        return kernel!.pointee.ids[place]
    }

    /// Bytes that the index takes, without the memory of searches: some 70 kB, what their effort
    /// asks for, and one bit a vector for each that runs at the same time.
    public var bytesAllocated: Int { parts?.byteCount ?? 0 }
}

/// What an index that is not empty is made of, as a file has it and as memory does.
struct HNSWParts: Sendable {
    var graph: Graph
    /// What walks compare.
    var rows: NodeRows
    /// What the nearest are compared with again.
    var exact: ExactRows?
    /// The ids of the vectors, by node.
    var ids: MemorySlice
    /// Node i has the ids from `starts[i]` up to `starts[i + 1]`; without them the i-th alone.
    var starts: MemorySlice?

    func sharedNodes(of count: Int) -> [UInt32] {
        guard let starts = starts?.pointer(to: UInt32.self) else { return [] }
        return (0..<UInt32(count)).filter { starts[Int($0) + 1] - starts[Int($0)] > 1 }
    }

    var byteCount: Int {
        graph.bytes.count + rows.bytes.count + (exact?.bytes.count ?? 0) + ids.count
            + (starts?.count ?? 0)
    }
}

extension MemorySlice {
    static func copy<Number: BitwiseCopyable>(of numbers: [Number]) -> MemorySlice {
        let block = MemoryBlock(count: numbers.count * MemoryLayout<Number>.stride)
        numbers.withUnsafeBytes { block.unsafeMutableBytes.copyMemory(from: $0) }
        return MemorySlice(block)
    }

    func pointer<Number: BitwiseCopyable>(to type: Number.Type) -> UnsafePointer<Number>? {
        unsafeBytes.baseAddress?.assumingMemoryBound(to: type)
    }
}
