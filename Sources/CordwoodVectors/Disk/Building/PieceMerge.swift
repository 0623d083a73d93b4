internal import CCordwoodKernels
internal import CordwoodStorage

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
        let merged = try MemoryBlock.mapped(count: 4 * nodes.count * degree)
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
