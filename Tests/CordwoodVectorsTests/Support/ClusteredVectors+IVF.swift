@testable import CordwoodVectors

extension ClusteredVectors {
    func lists(
        _ metric: Metric, _ configuration: IVFConfiguration = .init(), threads: Int = 1
    ) throws -> IVFIndex {
        try IVFIndex.of(vectors, dimensions: dimensions, metric, configuration, threads: threads)
    }
}

extension IVFIndex {
    /// An index of vectors whose ids are their numbers.
    static func of(
        _ vectors: [[Float]], dimensions: Int, _ metric: Metric,
        _ configuration: IVFConfiguration = .init(), threads: Int = 1
    ) throws -> IVFIndex {
        var builder = try IVFBuilder(
            dimensions: dimensions, metric: metric, configuration: configuration)
        for (number, vector) in vectors.enumerated() {
            try builder.append(id: UInt64(number), vector: vector.span)
        }
        return try builder.build(threads: threads)
    }

    /// As the protocol has it, with arrays for spans.
    func search(
        _ query: [Float], limit: Int, accuracy: SearchAccuracy = .effort(100),
        allowing allowed: VectorBitmap? = nil
    ) throws(VectorError) -> [Neighbor] {
        try search(query.span, limit: limit, accuracy: accuracy, allowing: allowed)
    }

    func search(
        batch: [Float], limit: Int, plan: IVFPlan, allowing allowed: VectorBitmap? = nil
    ) throws(VectorError) -> [[Neighbor]] {
        let queries = try FlatIndex.validate(batch: batch.span, dimensions: dimensions)
        return search(batch, count: queries, limit: limit, plan: plan, allowing: allowed)
    }

    /// What it was built with, as a configuration that was built can say it.
    static let quantizations = IVFConfiguration.quantizations.filter { $0 != .auto }
}
