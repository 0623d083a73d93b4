internal import CCordwoodKernels

extension FlatIndex {
    /// The `limit` nearest vectors, or all where there are fewer, by distance and then by id.
    ///
    /// Reads every row once: O(count × dimensions), bound by memory bandwidth. Throws as
    /// ``validate(_:dimensions:)`` of the query, and ``VectorError/Code/invalidLimit`` when the
    /// limit is below 1 or above ``maximumLimit``.
    public borrowing func search(
        _ query: Span<Float>, limit: Int
    ) throws(VectorError) -> [Neighbor] {
        try Self.validate(query, dimensions: dimensions)
        try Self.validate(limit: limit)
        guard count > 0 else { return [] }
        let prepared = prepare(query, count: 1)
        let heap = NearestHeaps(count: 1, capacity: min(limit, count))
        scan(prepared.base, heap.heaps)
        return heap.sorted()[0]
    }

    package static func validate(limit: Int) throws(VectorError) {
        guard (1...maximumLimit).contains(limit) else {
            throw VectorError(.invalidLimit, "expected 1 to \(maximumLimit), found \(limit)")
        }
    }

    /// The queries as rows: at unit length where the metric is the cosine.
    borrowing func prepare(_ queries: Span<Float>, count: Int) -> AlignedFloats {
        let prepared = AlignedFloats(count: count * dimensions)
        queries.withUnsafeBufferPointer { queries in
            for query in 0..<count {
                let source = queries.baseAddress! + query * dimensions
                let target = prepared.base + query * dimensions
                if metric == .cosine {
                    cordwood_f32_normalize(source, dimensions, target)
                } else {
                    target.update(from: source, count: dimensions)
                }
            }
        }
        return prepared
    }

    /// Offers every row to the heap of one prepared query.
    borrowing func scan(_ query: UnsafePointer<Float>, _ heap: UnsafeMutablePointer<cordwood_topk>)
    {
        var query = cordwood_f32_query(
            query: query, dimensions: dimensions, metric: metric.kernelMetric,
            base: metric.kernelBase)
        forEachBlock { block, rows in
            var rows = cordwood_f32_rows(
                rows: block.rows, stride: dimensions, count: rows, ids: block.ids)
            cordwood_f32_scan(&query, &rows, heap)
        }
    }

    /// Calls `body` with each block and the number of rows in it.
    borrowing func forEachBlock(_ body: (RowBlock, Int) -> Void) {
        var left = count
        for block in blocks {
            body(block, min(left, block.capacity))
            left -= block.capacity
        }
    }
}
