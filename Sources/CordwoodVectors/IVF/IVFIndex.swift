internal import CCordwoodKernels
internal import CordwoodStorage

/// Near neighbours by inverted lists (Jégou, Douze and Schmid, TPAMI 2011) of vectors that do not change:
/// made by an ``IVFBuilder``.
///
/// Each vector is in the list of a centroid that is near to it. A search reads the lists of the centroids
/// nearest to the query, from end to end, and compares codes that are a small part of the vectors; the
/// nearest are then compared exactly. It takes less memory than a graph and is built much faster, and
/// its searches are slower where recall is high.
///
/// **Places** number the vectors list by list. **Threads.** Immutable: any number of searches may run at
/// once, each on the thread that calls it.
public final class IVFIndex: VectorIndex, @unchecked Sendable {
    // Sendable although it holds unsafe memory: nobody writes what it leads to.

    /// The most vectors that an index holds.
    public static let maximumCount = Int(Int32.max)

    public let dimensions: Int
    public let metric: Metric
    /// How it was built: with as many lists as there are, and a quantization that is never
    /// ``Quantization/auto``.
    public let configuration: IVFConfiguration
    /// How many vectors there are.
    public let count: Int
    /// What searches find by how many lists are read, as it was measured when the index was built.
    public let calibration: RecallCalibration

    /// Nil when the index is empty.
    let parts: IVFParts?
    /// Null when the index is empty.
    let kernel: UnsafeMutablePointer<cordwood_ivf>?
    let scratches = ScratchPool<IVFScratch>()

    init(
        dimensions: Int, metric: Metric, configuration: IVFConfiguration, parts: IVFParts?,
        calibration: RecallCalibration
    ) {
        self.dimensions = dimensions
        self.metric = metric
        self.configuration = configuration
        self.parts = parts
        self.calibration = calibration
        count = parts?.count ?? 0
        kernel = parts.map { parts in
            let kernel = UnsafeMutablePointer<cordwood_ivf>.allocate(capacity: 1)
            kernel.initialize(to: parts.kernel(metric))
            return kernel
        }
    }

    deinit { kernel?.deallocate() }

    /// The id of a vector by its place, 0 to ``count`` - 1: what a filter's bits are numbered by.
    public func id(at place: Int) -> UInt64 {
        precondition((0..<count).contains(place), "expected 0..<\(count), found \(place)")
        return kernel!.pointee.ids[place]
    }

    /// Bytes that the index takes, without the memory of searches: some tens of bytes a list, and what
    /// their limit asks for, for each that runs at the same time.
    public var bytesAllocated: Int { parts?.byteCount ?? 0 }
}

/// What an index that is not empty is made of, as a file has it and as memory does.
struct IVFParts: Sendable {
    var dimensions: Int
    var lists: IVFLists
    /// What searches compare, or nil where that is the vectors themselves.
    var codes: IVFCodes?
    /// The vectors, or nil where codes are all that there is.
    var exact: MemorySlice?
    /// The ids of the vectors, by place.
    var ids: MemorySlice

    var count: Int { ids.count / MemoryLayout<UInt64>.stride }

    var byteCount: Int {
        lists.byteCount + (codes?.byteCount ?? 0) + (exact?.count ?? 0) + ids.count
    }

    func kernel(_ metric: Metric) -> cordwood_ivf {
        var kernel = cordwood_ivf()
        kernel.dimensions = dimensions
        kernel.metric = metric.kernelMetric
        kernel.base = metric.kernelBase
        kernel.normalizes = metric == .cosine
        kernel.list_count = UInt32(lists.count)
        kernel.centroids = lists.centroids.pointer(to: Float.self)
        kernel.ranking = lists.ranking.kernel
        kernel.ranking_codes = lists.rankingCodes.pointer(to: UInt8.self)
        kernel.starts = lists.starts.pointer(to: UInt32.self)
        kernel.blocks = lists.blocks.pointer(to: UInt32.self)
        kernel.kind = CORDWOOD_LIST_F32
        if let codes {
            kernel.codes = codes.bytes.pointer(to: UInt8.self)
            switch codes.quantizer {
            case .scalar(let quantizer):
                kernel.kind = CORDWOOD_LIST_CODES
                kernel.quantizer = quantizer.kernel
            case .product(let quantizer):
                kernel.kind = CORDWOOD_LIST_PQ
                kernel.pq = quantizer.kernel
            case .rabitq(let codes):
                kernel.kind = CORDWOOD_LIST_RABITQ
                kernel.rabitq = codes.quantizer.kernel
                kernel.rotation = codes.quantizer.rotationKernel
                kernel.centers = UnsafePointer(codes.centers.base)
                kernel.extra = codes.extra.pointer(to: UInt8.self)
            }
        }
        kernel.exact = exact?.pointer(to: Float.self)
        kernel.ids = ids.pointer(to: UInt64.self)
        return kernel
    }
}

/// Where the lists of an index are. Immutable.
struct IVFLists: Sendable {
    let centroids: MemorySlice
    /// The places before each list, and the number of all, 4 bytes each.
    let starts: MemorySlice
    /// The blocks before each list, which follow from the starts.
    let blocks: MemorySlice
    /// What lists are ranked by: the centroids in 8 bits, a quarter of the bytes to be read.
    let ranking: ScalarQuantizer
    let rankingCodes: MemorySlice

    var count: Int { starts.count / MemoryLayout<UInt32>.stride - 1 }

    var byteCount: Int { centroids.count + starts.count + blocks.count + rankingCodes.count }

    /// `starts` rise from 0.
    init(
        centroids: MemorySlice, starts: MemorySlice, dimensions: Int, metric: Metric
    ) {
        self.centroids = centroids
        self.starts = starts
        let count = starts.count / MemoryLayout<UInt32>.stride - 1
        let places = UnsafeBufferPointer(
            start: starts.pointer(to: UInt32.self), count: count + 1)
        var block: UInt32 = 0
        blocks = .copy(
            of: (0..<count).map { list in
                defer { block += (places[list + 1] - places[list] + 31) / 32 }
                return block
            })
        let floats = centroids.pointer(to: Float.self)!
        // Unit vectors are near to where their lists' vectors are; what has a large inner product is
        // not near to anything.
        ranking = ScalarQuantizer(
            bits: 8, metric: metric == .innerProduct ? .innerProduct : .l2,
            dimensions: dimensions, rows: floats, stride: dimensions, count: count)
        let codes = MemoryBlock(count: ranking.stride * count)
        let order = (0..<UInt32(count)).map { $0 }
        ranking.encode(
            floats, stride: dimensions, order: order, count: count,
            into: codes.unsafeMutableBytes.baseAddress!.assumingMemoryBound(to: UInt8.self))
        rankingCodes = MemorySlice(codes)
    }

    /// Blocks of all lists.
    var blockCount: Int {
        let starts = UnsafeBufferPointer(
            start: starts.pointer(to: UInt32.self), count: count + 1)
        return (0..<count).reduce(0) { $0 + Int(starts[$1 + 1] - starts[$1] + 31) / 32 }
    }

    /// The places before each list, and the number of all.
    var allStarts: [Int] {
        UnsafeBufferPointer(start: starts.pointer(to: UInt32.self), count: count + 1).map(Int.init)
    }

    /// The places of a list.
    func places(of list: Int) -> Range<Int> {
        let starts = starts.pointer(to: UInt32.self)!
        return Int(starts[list])..<Int(starts[list + 1])
    }

    func firstBlock(of list: Int) -> Int { Int(blocks.pointer(to: UInt32.self)![list]) }
}

/// The codes of vectors in lists.
struct IVFCodes: Sendable {
    enum Quantizer: Sendable {
        /// Of vectors, row by row.
        case scalar(ScalarQuantizer)
        /// Of what vectors differ by from their list's centroid, block by block.
        case product(ProductQuantizer)
        /// Of the same, by the signs of their components after a rotation, or a few bits of them.
        case rabitq(RaBitQCodes)
    }

    var quantizer: Quantizer
    /// Of RaBitQ the blocks.
    var bytes: MemorySlice

    /// Bytes that searches read.
    var byteCount: Int {
        guard case .rabitq(let codes) = quantizer else { return bytes.count }
        return codes.bytesAllocated
    }
}
