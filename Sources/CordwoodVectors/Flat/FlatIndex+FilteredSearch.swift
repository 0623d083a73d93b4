internal import CCordwoodKernels

extension FlatIndex {
    /// For each query the `limit` nearest of the vectors whose ids are in `allowed`, or all of them where
    /// there are fewer, by distance and then by id. `batch` has the components of one query after the
    /// other.
    ///
    /// O(min(count, ids) + queries × allowed × dimensions). Throws as ``search(batch:limit:)``.
    public borrowing func search(
        batch: Span<Float>, limit: Int, allowing allowed: Set<UInt64>
    ) throws(VectorError) -> [[Neighbor]] {
        try Self.validate(limit: limit)
        let queries = try Self.validate(batch: batch, dimensions: dimensions)
        let rows = rows(of: allowed)
        guard queries > 0, !rows.isEmpty else { return Array(repeating: [], count: queries) }
        let prepared = prepare(batch, count: queries)
        let heaps = NearestHeaps(count: queries, capacity: min(limit, rows.count))
        let addresses = rows.map { Optional($0.row) }
        let distances = AlignedFloats(count: rows.count)
        for number in 0..<queries {
            var query = cordwood_f32_query(
                query: prepared.base + number * dimensions, dimensions: dimensions,
                metric: metric.kernelMetric, base: metric.kernelBase)
            addresses.withUnsafeBufferPointer {
                cordwood_f32_distances(&query, $0.baseAddress, rows.count, distances.base)
            }
            for (index, row) in rows.enumerated() {
                cordwood_topk_push(heaps.heaps + number, distances.base[index], row.id)
            }
        }
        return heaps.sorted()
    }

    /// The rows that have one of the ids; looks at each row or at each id, whichever are fewer.
    private borrowing func rows(
        of allowed: Set<UInt64>
    ) -> [(id: UInt64, row: UnsafePointer<Float>)] {
        var found: [(id: UInt64, row: UnsafePointer<Float>)] = []
        if allowed.count < count {
            for id in allowed {
                if let row = address(of: id) { found.append((id, row)) }
            }
            return found
        }
        forEachBlock { block, rows in
            for row in 0..<rows where allowed.contains(block.ids[row]) {
                found.append((block.ids[row], UnsafePointer(block.rows + row * dimensions)))
            }
        }
        return found
    }
}
