internal import CCordwoodKernels
internal import Synchronization

/// Measures what searches find, with vectors that no centroid was made of. They are in the lists, as all
/// are, but do not count as their own neighbours.
struct IVFRecallProbe: @unchecked Sendable {
    // Sendable although it holds unsafe memory, which nobody writes meanwhile.

    /// So many that a recall of 0.95 is known to about half a hundredth.
    private static let queryCount = 256
    /// Among fewer, comparing all is as fast.
    private static let leastCount = 4096
    /// A higher recall is not told from a perfect one by so many queries.
    private static let enough = 0.9985
    /// How many lists are read, as far as that finds more.
    private static let efforts = (0...32).map { step in
        (step % 2 == 0 ? 2 : 3) << (step / 2) / 2
    }
    /// Queries whose true neighbours are looked for at once.
    private static let tileQueries = 64

    let source: IVFSource
    /// The places of the vectors that are searched for.
    let queries: [Int]

    /// How many vectors to hold out of so many.
    static func heldOut(of count: Int) -> Int { count < leastCount ? 0 : queryCount }

    func run(_ index: IVFIndex) -> RecallCalibration {
        var points: [RecallCalibration.Point] = []
        guard !queries.isEmpty else { return RecallCalibration(points: points) }
        let farthest = farthestTrue()
        let lists = index.configuration.lists ?? 1
        for effort in Self.efforts where effort > points.last?.ef ?? 0 && effort <= lists {
            let hits = inParallel(Array(queries.indices)) {
                countHits(of: queries[$0], effort: effort, within: farthest[$0], index)
            }
            let share = RecallCalibration.promised(hits: hits, farthest: farthest)
            points.append(.init(ef: effort, recall: max(share, points.last?.recall ?? 0)))
            if share >= Self.enough { break }
        }
        return RecallCalibration(points: points)
    }

    /// How far the last of each query's true neighbours is.
    private func farthestTrue() -> [Float] {
        let farthest = Mutex([Float](repeating: 0, count: queries.count))
        ParallelWork.run(queries.indices, chunk: Self.tileQueries, threads: source.threads) {
            _, chunk in
            let found = NearestByProducts(source, Array(queries[chunk])).run()
            farthest.withLock { farthest in
                for (query, neighbors) in zip(chunk, found) {
                    farthest[query] =
                        neighbors.lazy.filter { $0.id != UInt64(source.order[queries[query]]) }
                        .prefix(RecallCalibration.neighbors).last?.distance ?? 0
                }
            }
        }
        return farthest.withLock { $0 }
    }

    /// How many of the neighbours that a search finds are as near as the true ones. The index has the
    /// places as ids.
    private func countHits(
        of place: Int, effort: Int, within farthest: Float, _ index: IVFIndex
    ) -> Int {
        let limit = RecallCalibration.neighbors + 1
        let refined = IVFPlan.refined(
            probes: effort, limit: limit, index.configuration.quantization)
        let found = index.search(
            source.floats(of: place), count: 1, limit: limit,
            plan: .lists(probes: effort, refined: refined), allowing: nil)[0]
        let others = found.map { Int($0.id) }.filter { $0 != place }
        return distances(from: place, to: Array(others.prefix(RecallCalibration.neighbors)))
            .count { $0 <= farthest }
    }

    private func distances(from place: Int, to others: [Int]) -> [Float] {
        var query = cordwood_f32_query(
            query: source.floats(of: place), dimensions: source.dimensions,
            metric: source.metric.kernelMetric, base: source.metric.kernelBase)
        let rows = others.map { Optional(source.floats(of: $0)) }
        return Array(unsafeUninitializedCapacity: others.count) { distances, count in
            cordwood_f32_distances(&query, rows, others.count, distances.baseAddress)
            count = others.count
        }
    }

    private func inParallel<Output: Sendable>(
        _ inputs: [Int], _ body: @escaping @Sendable (Int) -> Output
    ) -> [Output] {
        let outputs = Mutex([Int: Output]())
        ParallelWork.run(inputs.indices, chunk: 1, threads: source.threads) { _, places in
            for place in places {
                let output = body(inputs[place])
                outputs.withLock { $0[place] = output }
            }
        }
        return outputs.withLock { outputs in inputs.indices.map { outputs[$0]! } }
    }
}

/// The nearest of all rows to a few of them, as exact search finds them: products of matrices bound the
/// distances from below, and what may be near is compared.
private final class NearestByProducts {
    private static let tileRows = 1024
    /// A product of rounded sums is off by far less than this part of the squared lengths.
    private static let slack = 1e-4

    private let source: IVFSource
    private let queries: AlignedFloats
    private let count: Int

    init(_ source: IVFSource, _ places: [Int]) {
        self.source = source
        count = places.count
        queries = AlignedFloats(count: places.count * source.dimensions)
        for (query, place) in places.enumerated() {
            (queries.base + query * source.dimensions).update(
                from: source.floats(of: place), count: source.dimensions)
        }
    }

    /// For each query the rows' numbers, and one more than are wanted: it finds itself.
    func run() -> [[Neighbor]] {
        let dimensions = source.dimensions
        let heaps = NearestHeaps(
            count: count, capacity: min(RecallCalibration.neighbors + 1, source.count))
        let products = AlignedFloats(count: count * Self.tileRows)
        let queryTerms = terms(queries.base, count, source.metric.kernelBase)
        for first in stride(from: 0, to: source.count, by: Self.tileRows) {
            let rows = source.rows + first * dimensions
            let rowCount = min(Self.tileRows, source.count - first)
            MatrixProduct.ofRows(
                (UnsafePointer(queries.base), count), (rows, rowCount), stride: dimensions,
                into: products.base)
            let ids = (first..<first + rowCount).map { UInt64($0) }
            let rowTerms = terms(rows, rowCount, 0)
            queryTerms.withUnsafeBufferPointer { queryTerms in
                rowTerms.withUnsafeBufferPointer { rowTerms in
                    ids.withUnsafeBufferPointer { ids in
                        var input = cordwood_f32_tile_input()
                        input.queries = UnsafePointer(queries.base)
                        input.query_stride = dimensions
                        input.query_count = count
                        input.dimensions = dimensions
                        input.metric = source.metric.kernelMetric
                        input.base = source.metric.kernelBase
                        input.rows = cordwood_f32_rows(
                            rows: rows, stride: dimensions, count: rowCount,
                            ids: ids.baseAddress)
                        input.products = UnsafePointer(products.base)
                        input.product_stride = rowCount
                        input.query_terms = queryTerms.baseAddress
                        input.row_terms = rowTerms.baseAddress
                        input.factor = source.metric == .l2 ? -2 : -1
                        cordwood_f32_tile(&input, heaps.heaps)
                    }
                }
            }
        }
        return heaps.sorted()
    }

    /// Each row's part of the lower bounds of its distances.
    private func terms(_ rows: UnsafePointer<Float>, _ count: Int, _ base: Float) -> [Float] {
        (0..<count).map { row in
            let norm = VectorKernels.squaredNorm(
                rows + row * source.dimensions, source.dimensions)
            let term = source.metric == .l2 ? (1 - Self.slack) * norm : -Self.slack * norm
            let bound = Float(term + Double(base))
            return bound.isFinite ? bound : -.infinity
        }
    }
}
