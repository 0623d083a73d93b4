/// Puts the nodes of a graph into blocks, so that a block that is read for one of its nodes has others
/// that the same search wants: near neighbours of each other (Starling: Wang et al., SIGMOD 2024).
///
/// Greedy: a block is filled with the node to which most edges lead from it, the nearest to its first
/// where they are equal in number. What was near a full block and did not fit starts the next ones.
struct PageOrder {
    private static let none = UInt32.max

    /// The nodes in the order of their places.
    private(set) var nodes: [UInt32] = []

    /// O(edges × nodes in a block).
    init(_ level: UnsafePointer<UInt32>, degree: Int, count: Int, perBlock: Int) {
        nodes.reserveCapacity(count)
        guard perBlock > 1 else {
            nodes = (0..<UInt32(count)).map { $0 }
            return
        }
        var isPlaced = [Bool](repeating: false, count: count)
        // How many edges lead from the block that is being filled to a node, where `block` is its own.
        var gains = [UInt16](repeating: 0, count: count)
        var blocks = [UInt32](repeating: Self.none, count: count)
        // Each node once, in the order in which they were met.
        var waiting: [UInt32] = []
        var isWaiting = isPlaced
        waiting.reserveCapacity(count)
        var firstWaiting = 0
        var firstUnplaced = 0
        var candidates: [UInt32] = []
        var block: UInt32 = 0
        while nodes.count < count {
            candidates.removeAll(keepingCapacity: true)
            let end = min(nodes.count + perBlock, count)
            while nodes.count < end {
                var next: UInt32
                if let best = Self.best(candidates, gains, isPlaced) {
                    next = best
                } else {
                    while firstWaiting < waiting.count, isPlaced[Int(waiting[firstWaiting])] {
                        firstWaiting += 1
                    }
                    if firstWaiting < waiting.count {
                        next = waiting[firstWaiting]
                    } else {
                        while isPlaced[firstUnplaced] { firstUnplaced += 1 }
                        next = UInt32(firstUnplaced)
                    }
                }
                isPlaced[Int(next)] = true
                nodes.append(next)
                let edges = level + Int(next) * degree
                for place in 0..<degree where edges[place] != Self.none {
                    let neighbor = Int(edges[place])
                    if isPlaced[neighbor] { continue }
                    if blocks[neighbor] != block {
                        blocks[neighbor] = block
                        gains[neighbor] = 0
                        candidates.append(UInt32(neighbor))
                    }
                    gains[neighbor] += 1
                }
            }
            for candidate in candidates
            where !isPlaced[Int(candidate)] && !isWaiting[Int(candidate)] {
                isWaiting[Int(candidate)] = true
                waiting.append(candidate)
            }
            block += 1
        }
    }

    /// Candidates are in the order in which they were met, those of one node nearest first.
    private static func best(
        _ candidates: [UInt32], _ gains: [UInt16], _ isPlaced: [Bool]
    ) -> UInt32? {
        var best: UInt32?
        var most: UInt16 = 0
        for candidate in candidates
        where gains[Int(candidate)] > most && !isPlaced[Int(candidate)] {
            most = gains[Int(candidate)]
            best = candidate
        }
        return best
    }
}
