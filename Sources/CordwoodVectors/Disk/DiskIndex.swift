internal import CCordwoodKernels
internal import CordwoodStorage

/// Near neighbours among more vectors than fit into memory: a graph in pages of a file (DiskANN:
/// Subramanya et al., NeurIPS 2019), made by a ``DiskBuilder``.
///
/// In memory are a product code of each vector and a small graph over some of them. A search begins at
/// the nearest of these, steers by codes, and reads the page of each node that it follows; near
/// neighbours share pages, and all vectors of a page that was read are compared exactly. Vectors that
/// are equal share a node. Ids are on the pages, and for ``id(at:)`` in a part of the file that is
/// mapped.
///
/// **Memory.** ``bytesAllocated``, and ``searchBytes`` for each thread that searches at the same time.
/// Pages are read past the system's cache, where the file system can.
///
/// **Threads.** Immutable: any number of searches may run at once. Each blocks the thread that calls it
/// and waits there for the disk, so a server calls it from a thread of its own.
public final class DiskIndex: VectorIndex, @unchecked Sendable {
    // Sendable although it holds unsafe memory: nobody writes what it leads to.

    /// The most vectors that an index holds.
    public static let maximumCount = Int(CORDWOOD_GRAPH_MAXIMUM_NODES)
    /// The efforts that a search may ask for.
    public static let effortRange = 1...65_536

    /// The most blocks that a thread's searches of a batch have asked the disk for at once, and that one
    /// search by itself has.
    public static let mostReadsInFlight = DiskSearcher.lanes * DiskSearcher.maximumWidth
    public static let mostReadsInFlightOfOne = DiskSearcher.maximumWidth

    public let dimensions: Int
    public let metric: Metric
    public let configuration: DiskConfiguration
    /// How many vectors there are.
    public let count: Int
    /// How many of them differ.
    public let nodeCount: Int
    /// What searches find, as it was measured when the index was built.
    public internal(set) var calibration: RecallCalibration

    /// Null when the index is empty.
    let kernel: UnsafeMutablePointer<cordwood_disk>?
    /// Nil when the index is empty.
    let parts: DiskParts?
    /// The file, which ``save(to:on:)`` copies.
    let file: any StorageFile
    let searchers = ScratchPool<DiskSearcher>()

    init(
        dimensions: Int, metric: Metric, configuration: DiskConfiguration, parts: DiskParts?,
        calibration: RecallCalibration, file: any StorageFile
    ) {
        self.dimensions = dimensions
        self.metric = metric
        self.configuration = configuration
        self.parts = parts
        self.calibration = calibration
        self.file = file
        count = (parts?.ids.count ?? 0) / MemoryLayout<UInt64>.stride
        nodeCount = parts?.layout.nodeCount ?? 0
        guard let parts else {
            kernel = nil
            return
        }
        let kernel = UnsafeMutablePointer<cordwood_disk>.allocate(capacity: 1)
        kernel.initialize(
            to: cordwood_disk(
                products: parts.products.kernel, codes: parts.codes.pointer(to: UInt8.self),
                node_count: UInt32(nodeCount), degree: UInt32(parts.layout.degree),
                nodes_per_block: UInt32(parts.layout.nodesPerBlock),
                element: parts.layout.element.kernel, dimensions: dimensions,
                normalizes: metric == .cosine, vector_count: UInt64(count),
                ids: parts.ids.pointer(to: UInt64.self)))
        self.kernel = kernel
    }

    deinit { kernel?.deallocate() }

    /// Reads it from the file's map: the first time of a page from the disk.
    public func id(at place: Int) -> UInt64 {
        precondition((0..<count).contains(place), "expected 0..<\(count), found \(place)")
        return kernel!.pointee.ids[place]
    }

    /// Bytes that the index takes, without the memory of searches.
    public var bytesAllocated: Int { parts?.byteCount ?? 0 }

    /// Bytes that the searches of one thread take, with a moderate effort.
    public var searchBytes: Int {
        parts.map { DiskSearcher.byteCount($0.layout, parts: $0.products.parts) } ?? 0
    }

    /// Bytes of the pages in the file.
    public var pageBytes: Int { parts?.layout.byteCount ?? 0 }
}

/// What an index that is not empty is made of, beside its pages.
struct DiskParts: Sendable {
    var layout: DiskLayout
    var products: ProductCodes
    /// A product code for each node.
    var codes: MemorySlice
    var navigation: DiskNavigation
    /// The ids of the vectors, by place: mapped.
    var ids: MemorySlice
    /// Node i has the places from `starts[i]` up to `starts[i + 1]`; without them the i-th alone. Mapped.
    var starts: MemorySlice?
    /// The pages, from ``pagePosition`` on.
    var reads: any RandomReads
    var pagePosition: Int

    var byteCount: Int {
        codes.count + navigation.byteCount
            + ProductCodes.byteCount(dimensions: layout.dimensions)
    }
}

/// A small graph in memory over some of the nodes, by which searches find where to begin.
struct DiskNavigation: Sendable {
    /// How many near nodes a search begins from.
    static let entries = 24
    static let beam = 4

    var graph: Graph
    var rows: NodeRows
    /// What each of its nodes is called in the pages.
    var nodes: MemorySlice

    var byteCount: Int { graph.bytes.count + rows.bytes.count + nodes.count }

    /// Half the edges, since a few near nodes are all that it has to find.
    static func shape(counts: [Int], degree: Int) -> GraphShape {
        GraphShape(counts: counts, degree: max(degree / 2, 4))
    }
}
