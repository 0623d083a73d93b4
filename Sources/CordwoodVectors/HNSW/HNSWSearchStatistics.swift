internal import CCordwoodKernels

/// What searches read: what bounds a search of a graph that is larger than the caches, since each of
/// these is somewhere else in memory.
public struct HNSWSearchStatistics: Sendable, Hashable {
    public struct Reads: Sendable, Hashable {
        public var count = 0
        public var bytes = 0
    }

    /// Lists of edges.
    public var lists = Reads()
    /// Rows that walks compare: codes, or vectors where there are no codes.
    public var rows = Reads()
    /// Vectors that were compared once more.
    public var vectors = Reads()

    public init() {}

    mutating func add(
        _ scratch: cordwood_hnsw_scratch, of index: UnsafePointer<cordwood_hnsw>, dimensions: Int
    ) {
        let degree = Int(index.pointee.graph.levels[0].degree)
        lists.add(scratch.walk.hop_count, of: degree * MemoryLayout<UInt32>.stride)
        rows.add(scratch.walk.distance_count, of: index.pointee.rows.stride)
        vectors.add(
            scratch.exact_count,
            of: cordwood_element_row_bytes(index.pointee.exact_element, dimensions))
    }
}

extension HNSWSearchStatistics.Reads {
    fileprivate mutating func add(_ more: UInt64, of size: Int) {
        count += Int(more)
        bytes += Int(more) * size
    }
}
