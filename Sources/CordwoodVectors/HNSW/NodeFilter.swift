internal import CCordwoodKernels

/// A filter of vectors as a graph's searches need it: by vector and by node. For one call.
struct NodeFilter {
    private let vectors: [UInt64]
    /// Nil where each node is one vector.
    private let nodes: [UInt64]?
    /// How many nodes are allowed.
    let nodeCount: Int

    init(_ bitmap: VectorBitmap, _ index: HNSWIndex) {
        vectors = bitmap.words
        guard let kernel = index.kernel, kernel.pointee.starts != nil else {
            nodes = nil
            nodeCount = bitmap.setCount
            return
        }
        var nodes = [UInt64](repeating: 0, count: (index.nodeCount + 63) / 64)
        cordwood_hnsw_filter_nodes(
            kernel, vectors, index.sharedNodes, UInt32(index.sharedNodes.count), &nodes)
        self.nodes = nodes
        nodeCount = nodes.reduce(0) { $0 + $1.nonzeroBitCount }
    }

    func withKernel<Result>(
        _ body: (UnsafePointer<cordwood_hnsw_filter>) -> Result
    ) -> Result {
        vectors.withUnsafeBufferPointer { vectors in
            (nodes ?? []).withUnsafeBufferPointer { nodes in
                var filter = cordwood_hnsw_filter(
                    vectors: vectors.baseAddress,
                    nodes: self.nodes == nil ? vectors.baseAddress : nodes.baseAddress)
                return body(&filter)
            }
        }
    }
}
