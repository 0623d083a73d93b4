internal import CCordwoodKernels
internal import Synchronization

extension HNSWIndex {
    /// How many nodes a step of a walk follows; see `cordwood_graph_search`.
    private static let beam: UInt32 = 6

    /// The `limit` nearest vectors that were found, by distance and then by id. As many as there are,
    /// or `limit`: where a walk finds fewer, all are compared.
    ///
    /// About `effort` × the graph's degree distances, of which most wait for memory. Throws as
    /// ``FlatIndex/search(_:limit:)``, and ``VectorError/Code/invalidEffort`` when the effort is out of
    /// ``effortRange``; one below the limit counts as the limit.
    public func search(
        _ query: Span<Float>, limit: Int, accuracy: SearchAccuracy = .effort(100)
    ) throws(VectorError) -> [Neighbor] {
        try FlatIndex.validate(query, dimensions: dimensions)
        return try search(batch: query, limit: limit, accuracy: accuracy)[0]
    }

    /// For each query what ``search(_:limit:accuracy:)`` returns for it. `batch` has the components of
    /// one query after the other.
    public func search(
        batch: Span<Float>, limit: Int, accuracy: SearchAccuracy = .effort(100)
    ) throws(VectorError) -> [[Neighbor]] {
        try FlatIndex.validate(limit: limit)
        let queries = try FlatIndex.validate(batch: batch, dimensions: dimensions)
        let effort = try effort(accuracy, limit: limit)
        guard let kernel, let parts, queries > 0 else {
            return Array(repeating: [], count: queries)
        }
        let heaps = NearestHeaps(count: queries, capacity: min(limit, count))
        let scratch = takeScratch(parts, ef: Int(effort?.ef ?? 1))
        defer { scratches.withLock { $0.append(scratch) } }
        batch.withUnsafeBufferPointer { batch in
            for query in 0..<queries {
                let vector = batch.baseAddress! + query * dimensions
                let heap = heaps.heaps + query
                if var effort {
                    cordwood_hnsw_search(kernel, vector, &effort, nil, &scratch.kernel, heap)
                    if Int(heap.pointee.count) == min(limit, count) { continue }
                    cordwood_topk_init(heap, heap.pointee.heap, heap.pointee.capacity)
                }
                cordwood_hnsw_scan(kernel, vector, nil, &scratch.kernel, heap)
            }
        }
        return heaps.sorted()
    }

    /// The efforts that a search may ask for.
    public static let effortRange = 1...1_000_000

    /// Nil for an exact search.
    private func effort(
        _ accuracy: SearchAccuracy, limit: Int
    ) throws(VectorError) -> cordwood_hnsw_effort? {
        switch accuracy {
        case .exact: return nil
        case .effort(let asked):
            guard Self.effortRange.contains(asked) else {
                throw VectorError(
                    .invalidEffort,
                    "expected \(Self.effortRange.lowerBound) to \(Self.effortRange.upperBound), "
                        + "found \(asked)")
            }
            let ef = max(asked, limit)
            return cordwood_hnsw_effort(
                ef: UInt32(ef), beam: Self.beam,
                refined: UInt32(min(ef, max(Self.leastRefined, limit * refinedPerResult))))
        }
    }

    /// So many are not noticed beside the walk.
    private static let leastRefined = 16

    /// Of how many nodes, to each result, the order by codes has to be put right.
    private var refinedPerResult: Int {
        switch configuration.quantization {
        case .none: 1
        case .sq8: 2
        case .sq4: 4
        }
    }

    private func takeScratch(_ parts: HNSWParts, ef: Int) -> SearchScratch {
        let scratch =
            scratches.withLock { $0.popLast() }
            ?? SearchScratch(parts, dimensions: dimensions, ef: ef)
        scratch.makeRoom(ef: ef)
        return scratch
    }
}
