internal import CCordwoodKernels

// Many queries share the reading of the rows: a matrix product gives the inner products of queries
// and rows, from which a lower bound of each distance follows by one addition. The kernel passes
// over the pairs whose bound is beyond the query's threshold, and computes the few others exactly,
// as a single search does. So rounding in the product can cost time but no result, and the batch
// returns bit for bit what its queries would return alone.
//
// Where the instruction set has a kernel that does product and comparison in one pass, it is used;
// elsewhere, and for the longest vectors, OpenBLAS multiplies tile by tile.

extension FlatIndex {
    /// Fewer queries than this are faster one by one, while rows are in a cache.
    static let smallestBatch = 6
    /// Queries and rows of a tile. Their products stay in a core's second cache.
    static let tileQueries = 256
    static let tileRows = 512

    /// For each query, what ``search(_:limit:)`` returns for it. `batch` has the components of one
    /// query after the other.
    ///
    /// O(queries × count × dimensions), bound by multiply-adds on the calling thread; needs
    /// O(queries × (dimensions + limit)) bytes. Throws as ``search(_:limit:)``, and
    /// ``VectorError/Code/wrongDimensions`` when the batch is not a whole number of queries.
    public borrowing func search(
        batch: Span<Float>, limit: Int
    ) throws(VectorError) -> [[Neighbor]] {
        try Self.validate(limit: limit)
        let queries = try Self.validate(batch: batch, dimensions: dimensions)
        guard count > 0 else { return Array(repeating: [], count: queries) }
        guard queries > 0 else { return [] }
        let prepared = prepare(batch, count: queries)
        let heaps = NearestHeaps(count: queries, capacity: min(limit, count))
        if queries < Self.smallestBatch {
            scan(prepared.base, count: queries, heaps.heaps)
        } else {
            multiply(prepared.base, count: queries, heaps.heaps)
        }
        return heaps.sorted()
    }

    /// The number of queries in a batch whose components are all finite.
    static func validate(
        batch: Span<Float>, dimensions: Int
    ) throws(VectorError) -> Int {
        let (queries, rest) = batch.count.quotientAndRemainder(dividingBy: dimensions)
        guard rest == 0 else {
            throw VectorError(
                .wrongDimensions,
                "expected a multiple of \(dimensions) components, found \(batch.count)")
        }
        for query in 0..<queries {
            do {
                let range = query * dimensions..<(query + 1) * dimensions
                try validate(batch.extracting(range), dimensions: dimensions)
            } catch {
                throw VectorError(error.code, "query \(query): \(error.detail)")
            }
        }
        return queries
    }

    /// Offers every row to the heap of every prepared query, as ``scan(_:count:_:)``.
    private borrowing func multiply(
        _ queries: UnsafePointer<Float>, count: Int,
        _ heaps: UnsafeMutablePointer<cordwood_topk>
    ) {
        let norms = (0..<count).map {
            cordwood_f32_squared_norm(queries + $0 * dimensions, dimensions)
        }
        let fusedScratch = cordwood_f32_batch_scratch(dimensions)
        let productCount = fusedScratch > 0 ? fusedScratch : Self.tileQueries * Self.tileRows
        let scratch = AlignedFloats(count: productCount + count)
        let products = scratch.base
        let terms = products + productCount
        forEachBlock { block, rows in
            for query in 0..<count { terms[query] = term(ofSquaredNorm: norms[query], block) }
            var input = tile(block, 0..<rows)
            input.queries = queries
            input.query_count = count
            input.query_terms = UnsafePointer(terms)
            if fusedScratch > 0 {
                cordwood_f32_batch(&input, products, heaps)
            } else {
                scanTiles(block, input, products, heaps)
            }
        }
    }

    /// Offers the rows of a block to the heaps of the queries in `whole`, tile by tile.
    private borrowing func scanTiles(
        _ block: RowBlock, _ whole: cordwood_f32_tile_input,
        _ products: UnsafeMutablePointer<Float>, _ heaps: UnsafeMutablePointer<cordwood_topk>
    ) {
        for firstRow in Swift.stride(from: 0, to: whole.rows.count, by: Self.tileRows) {
            let rows = firstRow..<min(firstRow + Self.tileRows, whole.rows.count)
            for query in Swift.stride(from: 0, to: whole.query_count, by: Self.tileQueries) {
                var input = tile(block, rows)
                input.queries = whole.queries + query * dimensions
                input.query_count = min(Self.tileQueries, whole.query_count - query)
                input.query_terms = whole.query_terms + query
                input.products = UnsafePointer(products)
                input.product_stride = rows.count
                MatrixProduct.ofRows(
                    (input.queries, input.query_count), (input.rows.rows, rows.count),
                    stride: dimensions, into: products)
                cordwood_f32_tile(&input, heaps + query)
            }
        }
    }

    /// Some rows of a block, without queries.
    private func tile(_ block: RowBlock, _ rows: Range<Int>) -> cordwood_f32_tile_input {
        var tile = cordwood_f32_tile_input()
        tile.query_stride = dimensions
        tile.dimensions = dimensions
        tile.metric = metric.kernelMetric
        tile.base = metric.kernelBase
        tile.rows = cordwood_f32_rows(
            rows: block.rows + rows.lowerBound * dimensions, stride: dimensions, count: rows.count,
            ids: block.ids + rows.lowerBound)
        tile.row_terms = block.norms.map { UnsafePointer($0 + rows.lowerBound) }
        tile.factor = metric == .l2 ? -2 : -1
        return tile
    }
}

// MARK: Bounds

// Let e be the relative error, q and r the exact vectors. The product is off by at most e|q||r|.
//
// L2: twice that is at most e(|q|² + |r|²), and the kernel's own distance is off by at most
// e|q - r|² <= 2e(|q|² + |r|²). So (1 - 4e)|q|² + (1 - 4e)|r|² - 2 product is below the kernel's
// distance, with a quarter to spare for the rounding of the sum.
//
// Inner product: the kernel's is off by as much as the matrix's, so that base - product, less
// e(2|q||r| + base) and some, is below the kernel's distance.
//
// The smallest normal number pays for what underflow takes from tiny products. A term that
// overflows becomes minus infinity, which sends every pair to the kernel.

extension FlatIndex {
    /// A row's part of the lower bound of its L2 distances.
    func lowerBound(ofSquaredNorm norm: Double) -> Float {
        Self.finiteOrNothing((1 - 4 * relativeError) * norm)
    }

    /// A query's part of the lower bound of its distances to the rows of a block.
    private func term(ofSquaredNorm norm: Double, _ block: RowBlock) -> Float {
        let underflow = Double(Float.leastNormalMagnitude)
        switch metric {
        case .l2: return Self.finiteOrNothing((1 - 4 * relativeError) * norm - underflow)
        case .innerProduct, .cosine:
            let base = Double(metric.kernelBase)
            let product = (norm * block.largestSquaredNorm).squareRoot()
            return Self.finiteOrNothing(
                base - relativeError * (3 * product + base) - underflow)
        }
    }

    private static func finiteOrNothing(_ bound: Double) -> Float {
        let float = Float(bound)
        return float.isFinite ? float.nextDown : -.infinity
    }
}
