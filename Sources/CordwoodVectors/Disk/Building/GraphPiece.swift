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
