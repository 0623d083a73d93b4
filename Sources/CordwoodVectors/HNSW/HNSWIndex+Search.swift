internal import CCordwoodKernels
internal import Synchronization

extension HNSWIndex {
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
        var statistics = HNSWSearchStatistics()
        return try search(
            batch: batch, limit: limit, accuracy: accuracy, allowing: allowed,
            statistics: &statistics)
    }

    /// The same, and adds what it did to `statistics`.
    public func search(
        batch: Span<Float>, limit: Int, accuracy: SearchAccuracy, allowing allowed: VectorBitmap?,
        statistics: inout HNSWSearchStatistics
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
                queriesBase, count: queries, limit: limit, plan: plan, allowing: allowed,
                &statistics)
        }
    }

    /// Searches by a plan for queries that are known to be sound.
    func search(
        _ queries: UnsafePointer<Float>, count queryCount: Int, limit: Int, plan: SearchPlan,
        allowing allowed: VectorBitmap?, _ statistics: inout HNSWSearchStatistics
    ) -> [[Neighbor]] {
        let expected = min(limit, allowed?.setCount ?? count)
        guard let kernel, let parts, queryCount > 0, expected > 0 else {
            return Array(repeating: [], count: queryCount)
        }
        let heaps = NearestHeaps(count: queryCount, capacity: expected)
        let scratch = takeScratch(parts, ef: plan.poolCapacity)
        defer { scratches.withLock { $0.append(scratch) } }
        scratch.clearCounts()
        var search = OneSearch(
            kernel: kernel, scratch: scratch, plan: plan, expected: expected,
            allowedNodes: nodeCount)
        let results = heaps.heaps
        func searchAll() {
            for query in 0..<queryCount {
                search.run(queries + query * dimensions, results + query)
            }
        }
        if let allowed {
            let filter = NodeFilter(allowed, self)
            search.allowedNodes = filter.nodeCount
            filter.withKernel {
                search.filter = $0
                searchAll()
            }
        } else {
            searchAll()
        }
        statistics.add(scratch.kernel, of: kernel, dimensions: dimensions)
        return heaps.sorted()
    }

    private func plan(
        _ accuracy: SearchAccuracy, limit: Int, allowed: Int
    ) throws(VectorError) -> SearchPlan {
        try accuracy.validate()
        let effort: Int? =
            switch accuracy {
            case .exact: nil
            case .effort(let ef): ef
            case .recall(let recall): calibration.walkEffort(for: recall, limit: limit)
            }
        guard let effort else { return .exact }
        return SearchPlan(
            ef: effort, limit: accuracy.measuredLimit(limit), configuration.quantization, costs,
            allowed: allowed, count: count)
    }

    var costs: SearchCosts {
        SearchCosts(
            degree: 2 * configuration.neighbors,
            rowBytes: parts?.rows.kernel.stride ?? MemoryLayout<Float>.stride * dimensions)
    }

    private func takeScratch(_ parts: HNSWParts, ef: Int) -> SearchScratch {
        let scratch =
            scratches.withLock { $0.popLast() }
            ?? SearchScratch(parts, dimensions: dimensions, ef: ef)
        scratch.makeRoom(ef: ef)
        return scratch
    }
}

/// What the searches of one call have in common.
private struct OneSearch {
    /// How many nodes a step of a walk follows; see `cordwood_graph_search`.
    private static let beam: UInt32 = 6

    let kernel: UnsafePointer<cordwood_hnsw>
    let scratch: SearchScratch
    let plan: SearchPlan
    /// How many results there must be.
    let expected: Int
    /// How many nodes have a vector that may be returned.
    var allowedNodes: Int
    var filter: UnsafePointer<cordwood_hnsw_filter>?

    func run(_ vector: UnsafePointer<Float>, _ heap: UnsafeMutablePointer<cordwood_topk>) {
        switch plan {
        case .walk(let ef, let refined, let detours):
            var effort = cordwood_hnsw_effort(
                ef: UInt32(ef), beam: Self.beam, refined: UInt32(refined),
                detours: UInt32(detours))
            let found = cordwood_hnsw_search(
                kernel, vector, &effort, filter, &scratch.kernel, heap)
            // A walk around what is forbidden may have ended on an island.
            if detours > 0, Int(found) < min(ef, allowedNodes) {
                scan(vector, refined: refined, heap)
            }
        case .scan(let refined): scan(vector, refined: refined, heap)
        case .exact: break
        }
        if Int(heap.pointee.count) < expected { scan(vector, refined: 0, heap) }
    }

    /// Forgets what was found, and looks at everything.
    private func scan(
        _ vector: UnsafePointer<Float>, refined: Int, _ heap: UnsafeMutablePointer<cordwood_topk>
    ) {
        cordwood_topk_init(heap, heap.pointee.heap, heap.pointee.capacity)
        cordwood_hnsw_scan(kernel, vector, filter, UInt32(refined), &scratch.kernel, heap)
    }
}
