internal import CCordwoodKernels
internal import CordwoodStorage

/// Some of the nodes, whose graph is built as if there were no others.
struct GraphPiece: Sendable {
    /// In rising order.
    let members: [UInt32]
    /// How many of them each level has: nodes are numbered by falling level here as among all.
    let levelCounts: [Int]

    init(_ members: [UInt32], _ order: NodeOrder) {
        self.members = members
        var counts = order.levelCounts.map { count in members.prefix { $0 < count }.count }
        while counts.count > 1, counts[counts.count - 1] < 2 { counts.removeLast() }
        levelCounts = counts
    }

    /// The edges of its graph, each member's list behind the other's, by the numbers that nodes have
    /// among all; `rows` are the codes of all. Throws ``VectorError/Code/cancelled`` or
    /// ``VectorError/Code/outOfMemory``.
    func edges(
        _ base: DiskConstruction, _ rows: NodeRows, progress: @escaping @Sendable (Int) -> Void
    ) throws(VectorError) -> MemorySlice {
        guard !members.isEmpty else { return MemorySlice(MemoryBlock(count: 0)) }
        let stride = rows.kernel.stride
        let memory = try MappedMemory(byteCount: members.count * stride)
        memory.preferHugePages()
        for (place, node) in members.enumerated() {
            (memory.base + place * stride).copyMemory(
                from: rows.kernel.rows + Int(node) * stride, byteCount: stride)
        }
        let codes = NodeRows(
            codes: MemorySlice(memory.block(count: members.count * stride)), of: rows.quantizer!)
        let degree = base.configuration.degree
        let graph = try Graph(GraphShape(counts: levelCounts, degree: degree))
        defer { withExtendedLifetime(codes) {} }
        try base.connect(graph, codes.kernel, alpha: base.alpha, progress: progress)
        let edges = graph.level(0).edges!
        for place in 0..<members.count * degree where edges[place] != noNode {
            edges[place] = members[Int(edges[place])]
        }
        return MemorySlice(graph.bytes.block, 0..<4 * members.count * degree)
    }
}

/// Makes one list of edges of two, for some nodes one after the other.
struct PieceMerge: Sendable {
    private static let chunk = 64

    /// Codes of all nodes.
    let rows: NodeRows
    let nodeCount: Int
    let degree: Int
    let alpha: Float
    let nodes: Range<Int>

    /// Throws ``VectorError/Code/storage`` where an edge leads to none of the nodes. O(nodes × degree²)
    /// distances, on `threads` threads; the same with any number of them.
    func edges(of lists: MemoryBlock, threads: Int) throws(VectorError) -> MemorySlice {
        let merged = MemoryBlock(count: 4 * nodes.count * degree)
        let work = MergeWork(self, lists, merged, threads: threads)
        ParallelWork.run(0..<nodes.count, chunk: Self.chunk, threads: threads) { thread, chunk in
            work.run(chunk, thread)
        }
        try work.error.check()
        return MemorySlice(merged)
    }
}

/// What the threads of a merge share.
private final class MergeWork: @unchecked Sendable {
    // Sendable although it holds unsafe memory: threads write to different lists.

    let error = FirstError()
    private let merge: UnsafeMutablePointer<cordwood_graph_merge>
    private let rows: UnsafeMutablePointer<cordwood_graph_rows>
    private let scratches: [BuildScratch]
    private let kept: (MemoryBlock, MemoryBlock)

    init(_ work: PieceMerge, _ lists: MemoryBlock, _ merged: MemoryBlock, threads: Int) {
        kept = (lists, merged)
        rows = .allocate(capacity: 1)
        rows.initialize(to: work.rows.kernel)
        merge = .allocate(capacity: 1)
        merge.initialize(
            to: cordwood_graph_merge(
                rows: rows, node_count: UInt32(work.nodeCount), degree: UInt32(work.degree),
                alpha: work.alpha, first: UInt32(work.nodes.lowerBound),
                lists: lists.unsafeBytes.baseAddress!.assumingMemoryBound(to: UInt32.self),
                merged: merged.unsafeMutableBytes.baseAddress!
                    .assumingMemoryBound(to: UInt32.self)))
        scratches = (0..<threads).map { _ in
            BuildScratch(
                nodes: 0, degree: work.degree, quantizer: work.rows.kernel.quantizer,
                ef: 2 * work.degree)
        }
    }

    deinit {
        merge.deallocate()
        rows.deallocate()
    }

    func run(_ nodes: Range<Int>, _ thread: Int) {
        let isSound = cordwood_graph_merge_lists(
            merge, UInt32(nodes.lowerBound), UInt32(nodes.upperBound), &scratches[thread].kernel)
        if !isSound {
            error.note(
                VectorError(.storage, "the graph of a piece has an edge that leads nowhere"))
        }
    }
}
