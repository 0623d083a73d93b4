internal import CCordwoodKernels
internal import CordwoodStorage

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// Ends a list of edges.
let noNode = UInt32.max

/// How many nodes each level of a graph has, and how many edges each may have.
struct GraphShape: Equatable {
    private static let lineBytes = 64

    /// From the lowest level, which has all nodes.
    var counts: [Int]
    var degrees: [Int]

    /// Room for `degree` edges on the lowest level and half of that on the others.
    init(counts: [Int], degree: Int) {
        self.counts = counts
        degrees = counts.indices.map { $0 == 0 ? degree : max(degree / 2, 1) }
    }

    /// Where each level's edges start; lists of the lowest start on cache lines where they fill them.
    var positions: [Int] {
        var end = 0
        return counts.indices.map { level in
            defer { end = after(level, end) }
            return end
        }
    }

    var byteCount: Int {
        counts.indices.reduce(0) { after($1, $0) }
    }

    private func after(_ level: Int, _ position: Int) -> Int {
        let bytes = counts[level] * degrees[level] * MemoryLayout<UInt32>.stride
        return (position + bytes + Self.lineBytes - 1) / Self.lineBytes * Self.lineBytes
    }
}

/// The levels of a graph and their edges.
final class Graph: @unchecked Sendable {
    // Sendable although it holds unsafe memory: it is written while an index is built, by one batch at
    // a time, and never after.

    let shape: GraphShape
    let kernel: cordwood_graph
    /// The edges of all levels.
    let bytes: MemorySlice
    private let levels: UnsafeMutablePointer<cordwood_graph_level>

    /// A graph without an edge.
    convenience init(_ shape: GraphShape) throws(VectorError) {
        let memory = try MappedMemory(byteCount: shape.byteCount)
        memory.preferHugePages()
        memset(memory.base, 0xff, shape.byteCount)
        self.init(shape, edges: MemorySlice(memory.block(count: shape.byteCount)))
    }

    /// The graph of edges that are there: as many bytes as the shape has.
    init(_ shape: GraphShape, edges: MemorySlice) {
        precondition(edges.count == shape.byteCount)
        self.shape = shape
        bytes = edges
        levels = .allocate(capacity: shape.counts.count)
        let base = UnsafeMutableRawPointer(mutating: edges.unsafeBytes.baseAddress)
        for (level, position) in shape.positions.enumerated() {
            levels[level] = cordwood_graph_level(
                count: UInt32(shape.counts[level]), degree: UInt32(shape.degrees[level]),
                edges: base.map { ($0 + position).assumingMemoryBound(to: UInt32.self) })
        }
        kernel = cordwood_graph(levels: levels, level_count: UInt32(shape.counts.count))
    }

    deinit { levels.deallocate() }

    var levelCount: Int { shape.counts.count }
    func level(_ number: Int) -> cordwood_graph_level { levels[number] }

    /// Whether it is safe to walk; see `cordwood_graph_is_sound`. Reads all edges.
    var isSound: Bool { withUnsafePointer(to: kernel) { cordwood_graph_is_sound($0) } }

    /// The neighbours of a node.
    func neighbors(of node: Int, level: Int = 0) -> [Int] {
        let level = levels[level]
        let edges = UnsafeBufferPointer(
            start: level.edges + node * Int(level.degree), count: Int(level.degree))
        return edges.prefix { $0 != noNode }.map(Int.init)
    }
}
