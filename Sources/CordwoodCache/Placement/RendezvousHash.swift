#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// Which of some nodes a key belongs to, in proportion to their weights: each node draws a score from the
/// key, and the highest has it. Whoever knows the same nodes places alike, whatever their order, without a
/// ring to share. When a node leaves, its keys alone move, to the others by their weights; when one comes,
/// it takes its share and nothing else moves.
///
/// Thaler and Ravishankar, "Using name-based mappings to increase hit rates" (1998); weights by the
/// logarithmic method of Schindelhauer and Schomaker (2005).
public struct RendezvousHash: Sendable, Hashable {
    public struct Node: Sendable, Hashable {
        /// What sets the node apart, such as its name; changing it moves its keys.
        public var name: String
        /// Its share, against the others' weights.
        public var weight: Double

        public init(_ name: String, weight: Double = 1) {
            self.name = name
            self.weight = weight
        }
    }

    public let nodes: [Node]
    private let hashes: [UInt64]

    /// - Throws: ``CacheError/Code/invalidPlacement`` for no nodes, two of one name, or a weight that is
    ///   not above 0 and finite.
    public init(_ nodes: [Node]) throws(CacheError) {
        guard !nodes.isEmpty else {
            throw CacheError(.invalidPlacement, "expected 1 node or more, found none")
        }
        var names: Set<String> = []
        for node in nodes {
            guard node.weight > 0, node.weight.isFinite else {
                throw CacheError(
                    .invalidPlacement,
                    "expected a finite weight above 0 of node \(node.name), found \(node.weight)")
            }
            guard names.insert(node.name).inserted else {
                throw CacheError(.invalidPlacement, "node \(node.name) comes twice")
            }
        }
        self.nodes = nodes
        hashes = nodes.map { StableHash.hash($0.name) }
    }

    /// The node of a key with this hash (``StableHash``). O(nodes).
    public func node(of hash: UInt64) -> Node {
        var best = nodes[0]
        var least = Double.infinity
        for (node, seed) in zip(nodes, hashes) {
            let draw = Self.draw(hash, seed, node.weight)
            // Ties are as good as impossible; names decide them, since orders may differ.
            if draw < least || draw == least && node.name < best.name {
                (best, least) = (node, draw)
            }
        }
        return best
    }

    /// The first `count` nodes that a key belongs to, best first, or all where there are fewer: the first
    /// for the key itself, the others for its replicas. O(nodes log nodes).
    public func nodes(of hash: UInt64, count: Int) -> [Node] {
        let drawn = zip(nodes, hashes).map { (Self.draw(hash, $1, $0.weight), $0) }
        return drawn.sorted { $0.0 != $1.0 ? $0.0 < $1.0 : $0.1.name < $1.1.name }
            .prefix(max(0, count)).map(\.1)
    }

    /// How long the key waits for the node: exponential with the weight as its rate, so that the first to
    /// come is each node with the chance of its weight.
    private static func draw(_ hash: UInt64, _ seed: UInt64, _ weight: Double) -> Double {
        let even = (Double(StableHash.spread(hash ^ seed) >> 11) + 0.5) * 0x1p-53
        return -log(even) / weight
    }
}
