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
        var groups = EqualGroups(representatives)
        var keyed: [(level: Int, key: UInt64, vector: UInt32)] = []
        keyed.reserveCapacity(groups.count)
        for vector in representatives.indices where representatives[vector] == UInt32(vector) {
            let key = Self.mix(seed, UInt64(vector))
            keyed.append((Self.level(Self.mix(key, 1), neighbors), key, UInt32(vector)))
        }
        let highest = keyed.map(\.level).max() ?? 0
        // A level of one node leads nowhere.
        keyed.sort { ($1.level, $0.key, $0.vector) < ($0.level, $1.key, $1.vector) }
        levelCounts = (0...highest).map { level in
            keyed.partitioningIndex { $0.level < level }
        }
        while levelCounts.count > 1, levelCounts.last == 1 { levelCounts.removeLast() }
        vectors.reserveCapacity(representatives.count)
        starts.reserveCapacity(keyed.count + 1)
        for node in keyed {
            groups.append(of: node.vector, to: &vectors)
            starts.append(UInt32(vectors.count))
        }
    }

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

/// The members of each group of equal vectors.
private struct EqualGroups {
    let count: Int
    private var others: [UInt32: [UInt32]] = [:]

    init(_ representatives: [UInt32]) {
        var count = 0
        for (vector, first) in representatives.enumerated() {
            if first == UInt32(vector) {
                count += 1
            } else {
                others[first, default: []].append(UInt32(vector))
            }
        }
        self.count = count
    }

    mutating func append(of first: UInt32, to vectors: inout [UInt32]) {
        vectors.append(first)
        if !others.isEmpty, let more = others[first] { vectors += more }
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
