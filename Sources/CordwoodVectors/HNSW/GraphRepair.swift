internal import CCordwoodKernels

/// Makes every node reachable from the first one over the lowest level.
///
/// Choosing neighbours anew can take the last edge that led to a node. Such a node is given one from a
/// near node that is reached, in the order of their numbers, so that the graph stays the same with any
/// number of threads. The graph itself is written to by ``run()`` alone, so that ``missing()`` tells of
/// one that may not be.
struct GraphRepair {
    private let graph: Graph
    private let rows: cordwood_graph_rows
    private let ef: Int
    private let level: cordwood_graph_level
    private var isReached: [Bool]
    private var reachedCount = 0
    /// The lists that are to be others, by node, as long as they are.
    private var changed: [UInt32: [UInt32]] = [:]

    init(_ graph: Graph, rows: cordwood_graph_rows, ef: Int) {
        self.graph = graph
        self.rows = rows
        self.ef = ef
        level = graph.level(0)
        isReached = Array(repeating: false, count: Int(level.count))
    }

    /// Gives the graph the edges that it lacks. Returns how many nodes were out of reach. O(edges), and a
    /// search for each such node.
    mutating func run() -> Int {
        let outOfReach = find()
        for (node, list) in changed {
            let edges = level.edges + Int(node) * Int(level.degree)
            for (place, edge) in list.enumerated() { edges[place] = edge }
        }
        return outOfReach
    }

    /// The lists, each as long as the degree, that nodes are to have so that every node is reached.
    mutating func missing() -> [UInt32: [UInt32]] {
        _ = find()
        return changed
    }

    private mutating func find() -> Int {
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
        let degree = Int(level.degree)
        var open = [UInt32(start)]
        isReached[start] = true
        reachedCount += 1
        while let node = open.popLast() {
            // Most are as they were, and read where they are.
            if changed.isEmpty {
                let edges = level.edges + Int(node) * degree
                for place in 0..<degree where !follow(edges[place], &open) { break }
            } else {
                for edge in edges(of: Int(node)) where !follow(edge, &open) { break }
            }
        }
    }

    /// False at the end of a list.
    private mutating func follow(_ edge: UInt32, _ open: inout [UInt32]) -> Bool {
        guard edge != noNode else { return false }
        if !isReached[Int(edge)] {
            isReached[Int(edge)] = true
            reachedCount += 1
            open.append(edge)
        }
        return true
    }

    /// Adds an edge. Where the list is full, the new node takes the place of the last one, which it
    /// leads to instead, so that what was reached stays so.
    private mutating func connect(_ from: Int, to node: Int) {
        var list = edges(of: from)
        defer { changed[UInt32(from)] = list }
        if let free = list.firstIndex(of: noNode) {
            list[free] = UInt32(node)
            return
        }
        let last = list[list.count - 1]
        list[list.count - 1] = UInt32(node)
        var own = edges(of: node)
        if own.contains(last) { return }
        own[own.firstIndex(of: noNode) ?? own.count - 1] = last
        changed[UInt32(node)] = own
    }

    private func edges(of node: Int) -> [UInt32] {
        if let list = changed[UInt32(node)] { return list }
        let degree = Int(level.degree)
        return Array(
            UnsafeBufferPointer(start: level.edges + node * degree, count: degree))
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
