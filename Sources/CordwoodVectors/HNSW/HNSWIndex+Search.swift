internal import CCordwoodKernels
internal import Synchronization

extension HNSWIndex {
    /// How many nodes a step of a walk follows; see `cordwood_graph_search`.
    private static let beam: UInt32 = 6

    /// See ``VectorIndex/search(batch:limit:accuracy:allowing:)``.
    ///
    /// About `effort` × the graph's degree distances, of which most wait for memory; under a filter as
    /// many times more as it takes away, until comparing all that it leaves is less (``SearchPlan``).
    /// An effort must be in ``SearchAccuracy/effortRange``, and one below the limit counts as the
    /// limit; a recall must be above 0 and up to 1.
    public func search(
        batch: Span<Float>, limit: Int, accuracy: SearchAccuracy = .effort(100),
        allowing allowed: VectorBitmap? = nil
    ) throws(VectorError) -> [[Neighbor]] {
        try FlatIndex.validate(limit: limit)
        precondition(
            allowed.map { $0.count == count } ?? true,
            "a filter of \(allowed?.count ?? 0) bits for \(count) vectors")
        let queries = try FlatIndex.validate(batch: batch, dimensions: dimensions)
        let plan = try plan(accuracy, limit: limit, allowed: allowed?.setCount ?? count)
        return batch.withUnsafeBufferPointer { batch in
            guard let queriesBase = batch.baseAddress else { return [] }
            return search(
                queriesBase, count: queries, limit: limit, plan: plan, allowing: allowed)
        }
    }

    /// Searches by a plan for queries that are known to be sound.
    func search(
        _ queries: UnsafePointer<Float>, count queryCount: Int, limit: Int, plan: SearchPlan,
        allowing allowed: VectorBitmap?
    ) -> [[Neighbor]] {
        let expected = min(limit, allowed?.setCount ?? count)
        guard let kernel, let parts, queryCount > 0, expected > 0 else {
            return Array(repeating: [], count: queryCount)
        }
        let heaps = NearestHeaps(count: queryCount, capacity: expected)
        let scratch = takeScratch(parts, ef: plan.poolCapacity)
        defer { scratches.withLock { $0.append(scratch) } }
        (allowed?.words ?? []).withUnsafeBufferPointer { words in
            let bits = allowed == nil ? nil : words.baseAddress
            for query in 0..<queryCount {
                search(
                    queries + query * dimensions, plan, bits, expected, kernel, scratch,
                    heaps.heaps + query)
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

    private func plan(
        _ accuracy: SearchAccuracy, limit: Int, allowed: Int
    ) throws(VectorError) -> SearchPlan {
        try accuracy.validate()
        let effort: Int? =
            switch accuracy {
            case .exact: nil
            case .effort(let ef): ef
            case .recall(let recall): calibration.effort(for: recall, limit: limit)
            }
        guard let effort else { return .exact }
        return SearchPlan(
            ef: effort, limit: limit, quantization: configuration.quantization, allowed: allowed,
            count: count)
    }

    private func takeScratch(_ parts: HNSWParts, ef: Int) -> SearchScratch {
        let scratch =
            scratches.withLock { $0.popLast() }
            ?? SearchScratch(parts, dimensions: dimensions, ef: ef)
        scratch.makeRoom(ef: ef)
        return scratch
    }
}
