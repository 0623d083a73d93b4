internal import CCordwoodKernels

/// The memory of one walk at a time over a graph. One thread uses it at a time.
final class WalkScratch: @unchecked Sendable {
    // Sendable although it holds unsafe memory: each user has it to itself.

    /// A walk that sees more nodes than this clears all bits behind it, instead of those it set.
    private static let touchedCapacity = 16_384

    var kernel = cordwood_graph_scratch()
    private let seenWords: Int
    private(set) var poolCapacity = 0

    /// For graphs of up to `nodes` nodes and `degree` edges to each.
    init(nodes: Int, degree: Int, ef: Int) {
        seenWords = (nodes + 31) / 32
        kernel.seen = .allocate(capacity: seenWords)
        kernel.seen.initialize(repeating: 0, count: seenWords)
        kernel.touched_capacity = UInt32(min(Self.touchedCapacity, seenWords))
        kernel.touched = .allocate(capacity: Int(kernel.touched_capacity))
        let room = (Int(CORDWOOD_GRAPH_MAXIMUM_BEAM) + 1) * degree + 16
        kernel.nodes = .allocate(capacity: room)
        kernel.distances = .allocate(capacity: room)
        makeRoom(ef: ef)
    }

    /// Bytes of one.
    static func byteCount(nodes: Int, degree: Int, ef: Int) -> Int {
        let words = (nodes + 31) / 32
        return 4 * (words + min(touchedCapacity, words)) + 8 * (ef + 1)
            + 8 * ((Int(CORDWOOD_GRAPH_MAXIMUM_BEAM) + 1) * degree + 16)
    }

    /// Bytes beside the bits of the nodes and the pool.
    static func fixedBytes(_ degree: Int) -> Int {
        4 * touchedCapacity + 8 * (Int(CORDWOOD_GRAPH_MAXIMUM_BEAM) * degree + 16)
    }

    deinit {
        kernel.seen.deallocate()
        kernel.touched.deallocate()
        kernel.nodes.deallocate()
        kernel.distances.deallocate()
        kernel.pool.deallocate()
    }

    /// Makes room for so many candidates.
    func makeRoom(ef: Int) {
        guard ef > poolCapacity else { return }
        kernel.pool?.deallocate()
        kernel.pool = .allocate(capacity: ef + 1)
        poolCapacity = ef
    }
}
