internal import CCordwoodKernels
internal import Synchronization

/// Measures what searches find, with vectors that are not in the graph yet.
struct RecallProbe: @unchecked Sendable {
    // Sendable although it holds unsafe memory, which nobody writes meanwhile.

    /// Vectors that are held out: so many that a recall of 0.95 is known to about half a hundredth.
    private static let queries = 256
    /// Among fewer, comparing all is as fast as a walk.
    private static let leastNodes = 4096
    /// A higher recall is not told from a perfect one by so many queries.
    private static let enough = 0.9985
    /// Rows that are compared in one call.
    private static let chunk = 256

    /// The vectors by the numbers of their nodes. No edge leads to one behind the first ``nodeCount``.
    let index: HNSWIndex
    let nodeCount: Int
    let source: NodeSource

    /// How many nodes to hold out of so many.
    static func heldOut(of nodes: Int) -> Int { nodes < leastNodes ? 0 : queries }

    func run() -> RecallCalibration {
        let queries = Array(nodeCount..<index.nodeCount)
        guard !queries.isEmpty else { return RecallCalibration(points: []) }
        let farthest = inParallel(queries, farthestTrue)
        var points: [RecallCalibration.Point] = []
        for ef in RecallCalibration.efforts where ef < nodeCount / 2 {
            let hits = inParallel(Array(queries.indices)) {
                countHits(of: queries[$0], ef: ef, within: farthest[$0])
            }
            let share = RecallCalibration.promised(hits: hits, farthest: farthest)
            points.append(.init(ef: ef, recall: max(share, points.last?.recall ?? 0)))
            if share >= Self.enough { break }
        }
        return RecallCalibration(points: points)
    }

    /// About how long a walk takes to find 0.95 of the neighbours; infinite where none does.
    func cost(_ calibration: RecallCalibration) -> Double {
        guard let ef = calibration.effort(for: 0.95, limit: RecallCalibration.neighbors) else {
            return .infinity
        }
        return index.costs.of(.walk(ef: ef, refined: 0, detours: 0), 0, 1)
    }

    /// The distance of the last of the true neighbours.
    private func farthestTrue(_ node: Int) -> Float {
        let heap = NearestHeaps(count: 1, capacity: RecallCalibration.neighbors)
        for start in stride(from: 0, to: nodeCount, by: Self.chunk) {
            let nodes = Array(start..<min(start + Self.chunk, nodeCount))
            for (other, distance) in zip(nodes, distances(from: node, to: nodes))
            where distance <= heap.heaps.pointee.threshold {
                cordwood_topk_push(heap.heaps, distance, UInt64(other))
            }
        }
        return heap.sorted()[0].last?.distance ?? 0
    }

    /// How many of the neighbours that a walk finds are as near as the true ones.
    private func countHits(of node: Int, ef: Int, within farthest: Float) -> Int {
        let limit = RecallCalibration.neighbors
        let refined = SearchPlan.refined(
            ef: ef, limit: limit, index.configuration.quantization)
        var statistics = HNSWSearchStatistics()
        let found = index.search(
            source.floats(of: node), count: 1, limit: limit,
            plan: .walk(ef: ef, refined: refined, detours: 0), allowing: nil, &statistics)[0]
        return distances(from: node, to: found.map { Int($0.id) }).count { $0 <= farthest }
    }

    private func distances(from node: Int, to others: [Int]) -> [Float] {
        var query = cordwood_f32_query(
            query: source.floats(of: node), dimensions: source.dimensions,
            metric: index.metric.kernelMetric, base: index.metric.kernelBase)
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
