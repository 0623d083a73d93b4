internal import CCordwoodKernels

extension SealedFlatIndex {
    /// Room for candidates, of which a query has a few dozen at a time, and at its beginning some hundreds.
    private static let leastCandidates = 4096
    /// Queries that are searched for together, as long as they need no more candidates than this.
    private static let groupQueries = 16
    private static let groupCandidates = groupQueries * leastCandidates

    /// See ``VectorIndex/search(batch:limit:accuracy:allowing:)``. The accuracy is always
    /// ``SearchAccuracy/exact``; another is looked at only to refuse what makes no sense.
    ///
    /// Reads every code that is allowed once for up to 16 queries: one query is bound by memory
    /// bandwidth, a batch by O(queries × count × dimensions) multiply-adds of bytes, 64 in one
    /// instruction. Where codes cannot tell the vectors apart, all are compared.
    public func search(
        batch: Span<Float>, limit: Int, accuracy: SearchAccuracy = .exact,
        allowing allowed: VectorBitmap? = nil
    ) throws(VectorError) -> [[Neighbor]] {
        try accuracy.validate()
        return try search(batch: batch, limit: limit, allowing: allowed).neighbors
    }

    /// Says also how many vectors were compared.
    func search(
        batch: Span<Float>, limit: Int, allowing allowed: VectorBitmap?
    ) throws(VectorError) -> (neighbors: [[Neighbor]], compared: Int) {
        try FlatIndex.validate(limit: limit)
        precondition(
            allowed.map { $0.count == count } ?? true,
            "a filter of \(allowed?.count ?? 0) bits for \(count) vectors")
        let queries = try FlatIndex.validate(batch: batch, dimensions: dimensions)
        let capacity = min(limit, allowed?.setCount ?? count)
        guard queries > 0, capacity > 0 else {
            return (Array(repeating: [], count: queries), 0)
        }
        let nearest = NearestHeaps(count: queries, capacity: capacity)
        let candidates = max(Self.leastCandidates, 4 * capacity)
        let together = max(1, min(Self.groupCandidates / candidates, queries))
        let scratch = SealedFlatScratch(
            queries: together, candidates: candidates,
            dimensions: kernel.pointee.dimensions,
            codeBytes: kernel.pointee.codes.quantizer.map { cordwood_code_query_bytes($0) } ?? 0)
        batch.withUnsafeBufferPointer { batch in
            for first in stride(from: 0, to: queries, by: together) {
                let group = first..<min(first + together, queries)
                for query in group {
                    prepare(
                        batch.baseAddress! + query * dimensions,
                        into: scratch.query(query - first))
                    scratch.searches[query - first].nearest = nearest.heaps + query
                }
                (allowed?.words ?? []).withUnsafeBufferPointer { words in
                    cordwood_flat_scan(
                        kernel, allowed == nil ? nil : words.baseAddress, scratch.searches,
                        group.count)
                }
            }
        }
        return (nearest.sorted(), scratch.compared)
    }

    /// A query as rows are: padded with zeros, and at unit length where the metric is the cosine.
    private func prepare(_ query: UnsafePointer<Float>, into room: UnsafeMutablePointer<Float>) {
        if metric == .cosine {
            cordwood_f32_normalize(query, dimensions, room)
        } else {
            room.update(from: query, count: dimensions)
        }
    }
}

/// The memory of a few queries that are searched for together.
private struct SealedFlatScratch: ~Copyable {
    let searches: UnsafeMutablePointer<cordwood_flat_search>
    private let count: Int
    private let dimensions: Int
    private let vectors: AlignedFloats
    private let components: UnsafeMutableRawPointer
    private let candidates: UnsafeMutablePointer<cordwood_flat_candidate>

    init(queries: Int, candidates capacity: Int, dimensions: Int, codeBytes: Int) {
        count = queries
        self.dimensions = dimensions
        vectors = AlignedFloats(count: queries * dimensions)
        components = .allocate(byteCount: max(queries * codeBytes, 1), alignment: 64)
        candidates = .allocate(capacity: queries * capacity)
        searches = .allocate(capacity: queries)
        for query in 0..<queries {
            var search = cordwood_flat_search()
            search.query = UnsafePointer(vectors.base + query * dimensions)
            search.components = (components + query * codeBytes)
                .bindMemory(to: Int8.self, capacity: codeBytes)
            search.candidates = candidates + query * capacity
            search.capacity = UInt32(capacity)
            (searches + query).initialize(to: search)
        }
    }

    deinit {
        searches.deallocate()
        candidates.deallocate()
        components.deallocate()
    }

    /// Room for a query, whose padding is zeros.
    func query(_ number: Int) -> UnsafeMutablePointer<Float> {
        vectors.base + number * dimensions
    }

    /// How many vectors all queries were compared with.
    var compared: Int { (0..<count).reduce(0) { $0 + Int(searches[$1].compared) } }
}
