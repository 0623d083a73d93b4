internal import CCordwoodKernels

/// Makes every node reachable from the first one over the lowest level.
///
/// Choosing neighbours anew can take the last edge that led to a node. Such a node is given one from a
/// near node that is reached, in the order of their numbers, so that the graph stays the same with any
/// number of threads.
struct GraphRepair {
    private let graph: Graph
    private let rows: cordwood_graph_rows
    private let ef: Int
    private let level: cordwood_graph_level
    private var isReached: [Bool]
    private var reachedCount = 0

    init(_ graph: Graph, rows: cordwood_graph_rows, ef: Int) {
        self.graph = graph
        self.rows = rows
        self.ef = ef
        level = graph.level(0)
        isReached = Array(repeating: false, count: Int(level.count))
    }

    /// Returns how many nodes were out of reach. O(edges), and a search for each such node.
    mutating func run() -> Int {
        reach(from: 0)
        let outOfReach = isReached.count - reachedCount
        guard outOfReach > 0 else { return 0 }
        let search = NodeSearch(graph, rows: rows, ef: ef)
        for node in isReached.indices where !isReached[node] {
            let near = search.nearest(to: node).first { isReached[$0] } ?? 0
            connect(near, to: node)
            reach(from: node)
        }
        return outOfReach
    }

    private mutating func reach(from start: Int) {
        var open = [start]
        isReached[start] = true
        reachedCount += 1
        while let node = open.popLast() {
            for neighbor in edges(of: node).prefix(while: { $0 != noNode })
            where !isReached[Int(neighbor)] {
                isReached[Int(neighbor)] = true
                reachedCount += 1
                open.append(Int(neighbor))
            }
        }
    }

    /// Adds an edge. Where the list is full, the new node takes the place of the last one, which it
    /// leads to instead, so that what was reached stays so.
    private func connect(_ from: Int, to node: Int) {
        let list = edges(of: from)
        if let free = list.firstIndex(of: noNode) {
            list[free] = UInt32(node)
            return
        }
        let last = list[list.count - 1]
        list[list.count - 1] = UInt32(node)
        let own = edges(of: node)
        if own.contains(last) { return }
        own[own.firstIndex(of: noNode) ?? own.count - 1] = last
    }

    private func edges(of node: Int) -> UnsafeMutableBufferPointer<UInt32> {
        let degree = Int(level.degree)
        return UnsafeMutableBufferPointer(start: level.edges + node * degree, count: degree)
    }
}

/// Finds the nodes near to a node.
private final class NodeSearch {
    private let graph: Graph
    private var rows: cordwood_graph_rows
    private let ef: Int
    private let scratch: WalkScratch
    private let vector: AlignedFloats
    private let components: AlignedFloats

    init(_ graph: Graph, rows: cordwood_graph_rows, ef: Int) {
        self.graph = graph
        self.rows = rows
        self.ef = ef
        let level = graph.level(0)
        scratch = WalkScratch(nodes: Int(level.count), degree: Int(level.degree), ef: ef)
        vector = AlignedFloats(count: rows.quantizer.pointee.dimensions)
        components = AlignedFloats(
            count: cordwood_code_query_bytes(rows.quantizer) / MemoryLayout<Float>.stride)
    }

    /// Nearest first.
    func nearest(to node: Int) -> [Int] {
        cordwood_decode(rows.quantizer, rows.rows + node * rows.stride, vector.base)
        var codes = cordwood_code_query()
        components.base.withMemoryRebound(
            to: Int8.self, capacity: cordwood_code_query_bytes(rows.quantizer)
        ) { cordwood_code_query_prepare(rows.quantizer, vector.base, $0, &codes) }
        var kernel = graph.kernel
        let found = withUnsafePointer(to: &codes) { codes in
            var query = cordwood_graph_query(floats: nil, codes: codes)
            return cordwood_graph_search(
                &kernel, &rows, &query, 0, UInt32(ef), UInt32(GraphConstruction.beam),
                &scratch.kernel)
        }
        return (0..<Int(found)).map { Int(scratch.kernel.pool[$0].node) }
    }
}
