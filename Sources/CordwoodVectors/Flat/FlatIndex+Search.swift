internal import CCordwoodKernels

extension FlatIndex {
    /// Rows that a few queries look at one after the other. They stay in a core's second cache.
    private static let cachedRowsSizeBytes = 256 * 1024

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
        scan(prepared.base, count: 1, heap.heaps)
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

    /// Offers every row to the heap of each prepared query: rows are read from memory once, by the
    /// first query, and from the second cache by the others.
    borrowing func scan(
        _ queries: UnsafePointer<Float>, count: Int,
        _ heaps: UnsafeMutablePointer<cordwood_topk>
    ) {
        let rowSizeBytes = dimensions * MemoryLayout<Float>.stride
        let rowsAtOnce = max(Self.cachedRowsSizeBytes / rowSizeBytes / 16 * 16, 16)
        forEachBlock { block, rows in
            for first in stride(from: 0, to: rows, by: rowsAtOnce) {
                var some = cordwood_f32_rows(
                    rows: block.rows + first * dimensions, stride: dimensions,
                    count: min(rowsAtOnce, rows - first), ids: block.ids + first)
                for number in 0..<count {
                    var query = cordwood_f32_query(
                        query: queries + number * dimensions, dimensions: dimensions,
                        metric: metric.kernelMetric, base: metric.kernelBase)
                    cordwood_f32_scan(&query, &some, heaps + number)
                }
            }
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
