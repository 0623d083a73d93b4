internal import CCordwoodKernels

extension HNSWIndex {
    /// See ``VectorIndex/search(batch:limit:accuracy:allowing:)``.
    ///
    /// About `effort` × the graph's degree distances, of which most wait for memory; under a filter as
    /// many times more as it takes away, until comparing all that it leaves is less (``SearchPlan``). It
    /// is so earlier for the queries of a batch, which read it once: they find as much as one by one, or
    /// more.
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
        let plan = try plan(
            accuracy, limit: limit, allowed: allowed?.setCount ?? count, queries: queries)
        return batch.withUnsafeBufferPointer { batch in
            guard let queriesBase = batch.baseAddress else { return [] }
            return search(
                queriesBase, count: queries, limit: limit, plan: plan, allowing: allowed,
                &statistics)
        }
    }

    /// Searches by a plan for queries that are known to be sound; those for which it finds too little
    /// are searched for again by the next one (``SearchPlan/next(_:allowed:count:queries:)``), so that
    /// each has as many results as there are and are asked for.
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
        defer { scratches.giveBack(scratch) }
        scratch.clearCounts()
        NodeFilter.with(allowed, of: self) { filter, allowedNodes in
            let run = SearchRun(
                kernel: kernel, scratch: scratch, filter: filter, allowedNodes: allowedNodes,
                queries: queries, dimensions: dimensions, heaps: heaps.heaps)
            var left = Array(0..<queryCount)
            var next: SearchPlan? = plan
            while let plan = next, !left.isEmpty {
                scratch.makeRoom(ef: plan.poolCapacity)
                left = run.search(left, plan)
                next = plan.next(
                    costs, allowed: allowedNodes, count: nodeCount, queries: left.count)
            }
        }
        statistics.add(scratch.kernel, of: kernel, dimensions: dimensions)
        return heaps.sorted()
    }

    private func plan(
        _ accuracy: SearchAccuracy, limit: Int, allowed: Int, queries: Int
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
            allowed: allowed, count: count, queries: queries)
    }

    var costs: SearchCosts {
        SearchCosts(
            degree: 2 * configuration.neighbors,
            rowBytes: parts?.rows.kernel.stride ?? MemoryLayout<Float>.stride * dimensions,
            dimensions: dimensions, hasCodes: parts?.rows.quantizer != nil)
    }

    private func takeScratch(_ parts: HNSWParts, ef: Int) -> SearchScratch {
        let scratch =
            scratches.take() ?? SearchScratch(parts, dimensions: dimensions, ef: ef)
        scratch.makeRoom(ef: ef)
        return scratch
    }
}
