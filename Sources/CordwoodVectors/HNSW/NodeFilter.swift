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

    /// Calls with the filter as searches need it, and the number of nodes that it allows: all of them
    /// without one.
    static func with(
        _ bitmap: VectorBitmap?, of index: HNSWIndex,
        _ body: (UnsafePointer<cordwood_hnsw_filter>?, Int) -> Void
    ) {
        guard let filter = bitmap.map({ NodeFilter($0, index) }) else {
            return body(nil, index.nodeCount)
        }
        filter.vectors.withUnsafeBufferPointer { vectors in
            (filter.nodes ?? filter.vectors).withUnsafeBufferPointer { nodes in
                var kernel = cordwood_hnsw_filter(
                    vectors: vectors.baseAddress, nodes: nodes.baseAddress)
                body(&kernel, filter.nodeCount)
            }
        }
    }
}
