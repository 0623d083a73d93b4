/// Which node of the graph, and which vectors, lie where in the pages.
struct DiskPlaces: Sendable {
    /// The node of the graph that became each node of the pages, and the reverse.
    let sources: [UInt32]
    let targets: [UInt32]
    /// Node i of the pages has the places from `starts[i]` up to `starts[i + 1]`.
    let starts: [UInt32]
    /// The number of the vector at each place, as they came.
    let vectors: [UInt32]

    var nodeCount: Int { sources.count }
    var hasEqualVectors: Bool { vectors.count > nodeCount }

    /// `sources` are the nodes of the order in the order of the pages. O(vectors).
    init(_ sources: [UInt32], of order: NodeOrder) {
        self.sources = sources
        var targets = [UInt32](repeating: 0, count: sources.count)
        for (target, source) in sources.enumerated() { targets[Int(source)] = UInt32(target) }
        self.targets = targets
        var starts: [UInt32] = [0]
        var vectors: [UInt32] = []
        starts.reserveCapacity(sources.count + 1)
        vectors.reserveCapacity(order.vectors.count)
        for source in sources {
            vectors +=
                order.vectors[
                    Int(order.starts[Int(source)])..<Int(order.starts[Int(source) + 1])]
            starts.append(UInt32(vectors.count))
        }
        self.starts = starts
        self.vectors = vectors
    }

    /// The first of a node's vectors.
    func vector(of node: Int) -> Int { Int(vectors[Int(starts[node])]) }

    /// At most `count` of the nodes' vectors, spread evenly.
    func sample(_ count: Int) -> [UInt32] {
        let count = min(count, nodeCount)
        return (0..<count).map { UInt32(vector(of: $0 * nodeCount / count)) }
    }
}
