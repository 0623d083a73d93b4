/// Which vectors become nodes of a graph, and in which order.
///
/// Equal vectors become one node: each would be the other's nearest neighbour, and a few hundred of
/// them would choose nobody else. Nodes are numbered by falling level; within a level by chance, so
/// that vectors which came one after another, and are often alike, are not added at the same time.
struct NodeOrder {
    /// The vectors by node, those of one node by number: a permutation of all.
    private(set) var vectors: [UInt32] = []
    /// Node i stands for the vectors from `starts[i]` up to `starts[i + 1]` of ``vectors``.
    private(set) var starts: [UInt32] = [0]
    /// How many nodes each level has, from the lowest.
    private(set) var levelCounts: [Int] = []

    var nodeCount: Int { starts.count - 1 }
    var hasEqualVectors: Bool { vectors.count > nodeCount }

    /// `representatives[i]` is the first vector that is equal to vector i. One vector of `neighbors` is
    /// in the level above a level, as the paper has it.
    init(representatives: [UInt32], neighbors: Int, seed: UInt64) {
        var firsts = representatives.indices
            .filter { representatives[$0] == UInt32($0) }.map { UInt32($0) }
        // Levels and keys are computed again in each comparison: that is faster than it takes memory.
        func level(_ vector: UInt32) -> Int {
            Self.level(Self.mix(Self.mix(seed, UInt64(vector)), 1), neighbors)
        }
        firsts.sort { a, b in
            (level(b), Self.mix(seed, UInt64(a)), a) < (level(a), Self.mix(seed, UInt64(b)), b)
        }
        // A level of one node leads nowhere.
        levelCounts = (0...(firsts.first.map(level) ?? 0)).map { number in
            firsts.partitioningIndex { level($0) < number }
        }
        while levelCounts.count > 1, levelCounts.last == 1 { levelCounts.removeLast() }
        groupEqual(representatives, firsts)
    }

    /// Puts the vectors of each node side by side, in rising order. O(vectors), by counting.
    private mutating func groupEqual(_ representatives: [UInt32], _ firsts: [UInt32]) {
        guard firsts.count < representatives.count else {
            vectors = firsts
            starts = (0...UInt32(firsts.count)).map { $0 }
            return
        }
        var nodes = [UInt32](repeating: 0, count: representatives.count)
        for (node, first) in firsts.enumerated() { nodes[Int(first)] = UInt32(node) }
        // Each start is where the node's next vector goes, and ends up as the start of the next node.
        starts = [UInt32](repeating: 0, count: firsts.count + 2)
        for first in representatives { starts[Int(nodes[Int(first)]) + 2] += 1 }
        for node in 0..<firsts.count { starts[node + 2] += starts[node + 1] }
        vectors = [UInt32](repeating: 0, count: representatives.count)
        for (vector, first) in representatives.enumerated() {
            let node = Int(nodes[Int(first)])
            vectors[Int(starts[node + 1])] = UInt32(vector)
            starts[node + 1] += 1
        }
        starts.removeLast()
    }

    /// The first of a node's vectors.
    func vector(of node: Int) -> Int { Int(vectors[Int(starts[node])]) }

    /// One in `neighbors` hashes is above each level, told by whole numbers alone.
    private static func level(_ hash: UInt64, _ neighbors: Int) -> Int {
        var level = 0
        var bound = UInt64.max / UInt64(neighbors)
        while hash < bound {
            level += 1
            bound /= UInt64(neighbors)
        }
        return level
    }

    /// SplitMix64's finaliser over both.
    private static func mix(_ a: UInt64, _ b: UInt64) -> UInt64 {
        var mixed = a &+ (b &+ 1) &* 0x9e37_79b9_7f4a_7c15
        mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
        return mixed ^ mixed >> 31
    }
}

extension Array {
    /// The first place whose element satisfies the predicate, as all behind it do.
    fileprivate func partitioningIndex(where belongs: (Element) -> Bool) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if belongs(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
