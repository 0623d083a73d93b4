internal import CCordwoodKernels

/// A filter of vectors as a graph's searches need it: by vector and by node. For one call.
struct NodeFilter {
    private let vectors: [UInt64]
    /// Nil where each node is one vector.
    private let nodes: [UInt64]?
    /// How many nodes are allowed.
    let nodeCount: Int

    init(_ bitmap: VectorBitmap, _ index: HNSWIndex) {
        let bits = bitmap.words
        vectors = bits
        guard let kernel = index.kernel, kernel.pointee.starts != nil else {
            nodes = nil
            nodeCount = bitmap.setCount
            return
        }
        let words = VectorBitmap.wordCount(of: index.nodeCount)
        var merged: UInt32 = 0
        nodes = [UInt64](unsafeUninitializedCapacity: words) { nodes, count in
            merged = cordwood_hnsw_filter_nodes(
                kernel, bits, index.sharedNodes, UInt32(index.sharedNodes.count),
                nodes.baseAddress)
            count = words
        }
        nodeCount = bitmap.setCount - Int(merged)
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
