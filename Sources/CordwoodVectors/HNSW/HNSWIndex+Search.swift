internal import CCordwoodKernels
internal import Synchronization

extension HNSWIndex {
    /// How many nodes a step of a walk follows; see `cordwood_graph_search`.
    private static let beam: UInt32 = 6

    /// The `limit` nearest vectors that were found, by distance and then by id: of those whose bit is
    /// set, where `allowing` is given. As many as there are, or `limit`: where a walk finds fewer, all
    /// are compared.
    ///
    /// About `effort` × the graph's degree distances, of which most wait for memory; under a filter as
    /// many times more as it takes away, until comparing all that it leaves is less (``SearchPlan``).
    /// Throws as ``FlatIndex/search(_:limit:)``, and ``VectorError/Code/invalidEffort`` when the effort
    /// is out of ``effortRange``; one below the limit counts as the limit. A filter must have a bit for
    /// each vector.
    public func search(
        _ query: Span<Float>, limit: Int, accuracy: SearchAccuracy = .effort(100),
        allowing allowed: VectorBitmap? = nil
    ) throws(VectorError) -> [Neighbor] {
        try FlatIndex.validate(query, dimensions: dimensions)
        return try search(batch: query, limit: limit, accuracy: accuracy, allowing: allowed)[0]
    }

    /// For each query what ``search(_:limit:accuracy:allowing:)`` returns for it. `batch` has the
    /// components of one query after the other.
    public func search(
        batch: Span<Float>, limit: Int, accuracy: SearchAccuracy = .effort(100),
        allowing allowed: VectorBitmap? = nil
    ) throws(VectorError) -> [[Neighbor]] {
        try FlatIndex.validate(limit: limit)
        precondition(
            allowed.map { $0.count == count } ?? true,
            "a filter of \(allowed?.count ?? 0) bits for \(count) vectors")
        let plan = try plan(accuracy, limit: limit, allowed: allowed?.setCount ?? count)
        return try search(batch: batch, limit: limit, plan: plan, allowing: allowed)
    }

    /// The same by a plan that somebody else has made.
    func search(
        batch: Span<Float>, limit: Int, plan: SearchPlan, allowing allowed: VectorBitmap?
    ) throws(VectorError) -> [[Neighbor]] {
        let queries = try FlatIndex.validate(batch: batch, dimensions: dimensions)
        let expected = min(limit, allowed?.setCount ?? count)
        guard let kernel, let parts, queries > 0, expected > 0 else {
            return Array(repeating: [], count: queries)
        }
        let heaps = NearestHeaps(count: queries, capacity: expected)
        let scratch = takeScratch(parts, ef: plan.poolCapacity)
        defer { scratches.withLock { $0.append(scratch) } }
        batch.withUnsafeBufferPointer { batch in
            (allowed?.words ?? []).withUnsafeBufferPointer { words in
                let bits = allowed == nil ? nil : words.baseAddress
                for query in 0..<queries {
                    search(
                        batch.baseAddress! + query * dimensions, plan, bits, expected, kernel,
                        scratch, heaps.heaps + query)
                }
            }
        }
        return heaps.sorted()
    }

    private func search(
        _ vector: UnsafePointer<Float>, _ plan: SearchPlan, _ allowed: UnsafePointer<UInt64>?,
        _ expected: Int, _ kernel: UnsafePointer<cordwood_hnsw>, _ scratch: SearchScratch,
        _ heap: UnsafeMutablePointer<cordwood_topk>
    ) {
        switch plan {
        case .walk(let ef, let refined):
            var effort = cordwood_hnsw_effort(
                ef: UInt32(ef), beam: Self.beam, refined: UInt32(refined))
            cordwood_hnsw_search(kernel, vector, &effort, allowed, &scratch.kernel, heap)
        case .scan(let refined):
            cordwood_hnsw_scan(
                kernel, vector, allowed, UInt32(refined), &scratch.kernel, heap)
        case .exact: break
        }
        if Int(heap.pointee.count) < expected {
            cordwood_topk_init(heap, heap.pointee.heap, heap.pointee.capacity)
            cordwood_hnsw_scan(kernel, vector, allowed, 0, &scratch.kernel, heap)
        }
    }

    /// The efforts that a search may ask for.
    public static let effortRange = 1...1_000_000

    private func plan(
        _ accuracy: SearchAccuracy, limit: Int, allowed: Int
    ) throws(VectorError) -> SearchPlan {
        switch accuracy {
        case .exact: return .exact
        case .effort(let ef):
            guard Self.effortRange.contains(ef) else {
                throw VectorError(
                    .invalidEffort,
                    "expected \(Self.effortRange.lowerBound) to \(Self.effortRange.upperBound), "
                        + "found \(ef)")
            }
            return SearchPlan(
                ef: ef, limit: limit, quantization: configuration.quantization, allowed: allowed,
                count: count)
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
