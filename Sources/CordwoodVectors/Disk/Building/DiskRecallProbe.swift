internal import CCordwoodKernels
internal import Synchronization

/// Measures what searches of an index find, with vectors that are in it: each is searched for as if its
/// node were not there. The edges that others have to the node lead nowhere then, so that what is found
/// is rather less than of a vector that never was in the graph.
struct DiskRecallProbe: @unchecked Sendable {
    // Sendable although it holds unsafe memory, which nobody writes meanwhile.

    /// So many that a recall of 0.95 is known to about half a hundredth.
    static let queries = 256
    /// Among fewer, comparing all takes few reads.
    static let leastNodes = 4096
    /// A higher recall is not told from a perfect one by so many queries.
    private static let enough = 0.9985
    /// Beyond it a search reads so much that it is not worth measuring.
    static let largestEffort = 1280
    /// Rows that are compared with one query after another while the caches have them.
    private static let chunk = 512

    let index: DiskIndex
    let build: DiskBuild
    let threads: Int

    func run() throws(VectorError) -> RecallCalibration {
        let nodeCount = index.nodeCount
        guard nodeCount >= Self.leastNodes else { return RecallCalibration(points: []) }
        let nodes = (0..<Self.queries).map { $0 * nodeCount / Self.queries }
        let queries = SharedFloats(count: nodes.count * index.dimensions)
        for (query, node) in nodes.enumerated() {
            (queries.base + query * index.dimensions).update(
                from: row(node), count: index.dimensions)
        }
        let farthest = farthestTrue(nodes)
        var points: [RecallCalibration.Point] = []
        for ef in RecallCalibration.efforts where ef < nodeCount / 2 && ef <= Self.largestEffort {
            let search = DiskSearch(
                queries: queries, count: nodes.count, expected: RecallCalibration.neighbors,
                plan: .walk(ef: ef), excluded: nodes.map { UInt32($0) })
            var statistics = DiskSearchStatistics()
            let found = try index.search(search, &statistics)
            let hits = zip(found, farthest).map { found, farthest in
                found.count { $0.distance <= farthest }
            }
            let share = RecallCalibration.promised(hits: hits, farthest: farthest)
            points.append(.init(ef: ef, recall: max(share, points.last?.recall ?? 0)))
            if share >= Self.enough { break }
        }
        return RecallCalibration(points: points)
    }

    private func row(_ node: Int) -> UnsafePointer<Float> {
        build.rows.base + build.places.vector(of: node) * build.rows.shape.stride
    }

    /// For each node the distance of the last of the nearest others.
    private func farthestTrue(_ nodes: [Int]) -> [Float] {
        let results = Mutex([Float](repeating: 0, count: nodes.count))
        // A thread goes through all rows once for all the queries that it takes.
        let share = (nodes.count + threads - 1) / threads
        ParallelWork.run(nodes.indices, chunk: share, threads: threads) { _, places in
            let distances = farthestTrue(Array(nodes[places]), among: index.nodeCount)
            results.withLock { $0.replaceSubrange(places, with: distances) }
        }
        return results.withLock { $0 }
    }

    private func farthestTrue(_ queries: [Int], among nodeCount: Int) -> [Float] {
        let heaps = NearestHeaps(count: queries.count, capacity: RecallCalibration.neighbors)
        var distances = [Float](repeating: 0, count: Self.chunk)
        for start in stride(from: 0, to: nodeCount, by: Self.chunk) {
            let nodes = start..<min(start + Self.chunk, nodeCount)
            let rows = nodes.map { Optional(row($0)) }
            for (place, query) in queries.enumerated() {
                var kernel = cordwood_f32_query(
                    query: row(query), dimensions: index.dimensions,
                    metric: index.metric.kernelMetric, base: index.metric.kernelBase)
                cordwood_f32_distances(&kernel, rows, rows.count, &distances)
                for (node, distance) in zip(nodes, distances)
                where distance <= heaps.heaps[place].threshold && node != query {
                    for _ in build.places.starts[node]..<build.places.starts[node + 1] {
                        cordwood_topk_push(heaps.heaps + place, distance, UInt64(node))
                    }
                }
            }
        }
        return heaps.sorted().map { $0.last?.distance ?? 0 }
    }
}
