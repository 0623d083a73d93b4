import TestSupport
import Testing

@testable import CordwoodVectors

@Suite struct SealedFlatIndexTests {
    private static let quantizations = SealedFlatConfiguration.quantizations

    /// Results are those of a flat index, bit for bit, for every kind of index, one by one and in
    /// batches, with as many results as there may be.
    @Test(arguments: Metric.allCases, quantizations)
    func findsWhatAFlatIndexFinds(metric: Metric, quantization: Quantization) throws {
        for (dimensions, seed) in [(1, 1), (3, 2), (17, 3), (64, 4), (131, 5)] as [(Int, UInt64)] {
            let data = ClusteredVectors(count: 900, queries: 37, dimensions: dimensions, seed: seed)
            let index = try SealedFlatIndex.of(
                data.vectors, dimensions: dimensions, metric,
                .init(quantization: quantization), threads: 2)
            let flat = try data.flatIndex(metric)
            for limit in [1, 10, 300, 900, 2000] {
                let batch = data.queries.flatMap { $0 }
                let expected = try data.queries.map { try flat.search($0, limit: limit) }
                #expect(
                    try index.search(batch: batch, limit: limit) == expected,
                    "\(metric), \(quantization), \(dimensions) dimensions, limit \(limit)")
                #expect(
                    try index.search(data.queries[3], limit: limit, accuracy: .effort(5))
                        == expected[3])
            }
        }
    }

    /// Of vectors that are near to some centers, codes leave few to be compared.
    @Test(arguments: Metric.allCases, [(Quantization.sq8, 0.05), (.sq4, 0.25)])
    func codesLeaveFewToCompare(metric: Metric, _ kind: (Quantization, Double)) throws {
        let data = ClusteredVectors(count: 4000, queries: 20, dimensions: 48, seed: 8)
        let index = try SealedFlatIndex.of(
            data.vectors, dimensions: 48, metric, .init(quantization: kind.0))
        let batch = data.queries.flatMap { $0 }
        let compared = try index.compared(batch: batch, limit: 10)
        let share = Double(compared) / Double(20 * 4000)
        #expect(share < kind.1 && compared >= 20 * 10, "\(metric), \(kind.0): \(share)")
    }

    /// Under a filter results are the nearest of those that are allowed, as many as there are.
    @Test(arguments: Metric.allCases, quantizations)
    func aFilterLeavesTheNearestOfTheAllowed(metric: Metric, quantization: Quantization) throws {
        let data = ClusteredVectors(count: 1500, queries: 8, dimensions: 20, seed: 9)
        let index = try SealedFlatIndex.of(
            data.vectors, dimensions: 20, metric, .init(quantization: quantization))
        let flat = try data.flatIndex(metric)
        var random = SeededGenerator(seed: 10)
        for part in [1, 2, 9, 100, 1501] {
            var allowed = VectorBitmap(count: 1500)
            // A whole block of none, and one of all.
            for place in 0..<1500 where !(256..<512).contains(place) {
                allowed[place] =
                    (512..<768).contains(place) || Int.random(in: 0..<part, using: &random) == 0
            }
            for query in data.queries {
                let all = try flat.search(query, limit: 1500)
                let expected = all.filter { allowed[Int($0.id)] }
                for limit in [1, 10, 2000] {
                    #expect(
                        try index.search(query, limit: limit, allowing: allowed)
                            == Array(expected.prefix(limit)),
                        "one of \(part), limit \(limit)")
                }
            }
        }
        let none = VectorBitmap(count: 1500)
        #expect(try index.search(data.queries[0], limit: 5, allowing: none).isEmpty)
    }

    /// With halves, results are those of a flat index of what halves stand for.
    @Test(arguments: Metric.allCases, quantizations)
    func halvesAreSearchedExactly(metric: Metric, quantization: Quantization) throws {
        let data = ClusteredVectors(count: 500, queries: 10, dimensions: 24, seed: 11)
        let index = try SealedFlatIndex.of(
            data.vectors, dimensions: 24, metric,
            .init(quantization: quantization, reranking: .f16))
        #expect(index.configuration.reranking == .f16)
        let whole = try SealedFlatIndex.of(
            data.vectors, dimensions: 24, metric, .init(quantization: quantization))
        #expect(index.bytesAllocated + 500 * 32 * 2 == whole.bytesAllocated)
        let plain = try SealedFlatIndex.of(
            data.vectors, dimensions: 24, metric, .init(quantization: .none, reranking: .f16))
        let reference = Reference(metric: metric)
        for query in data.queries {
            let found = try index.search(query, limit: 20)
            #expect(try found == plain.search(query, limit: 20))
            for neighbor in found {
                let exact = reference.distance(query, data.vectors[Int(neighbor.id)])
                #expect(abs(Double(neighbor.distance) - exact) < 0.002 * max(1, abs(exact)))
            }
        }
        let large = try SealedFlatIndex.of(
            data.vectors + [[Float](repeating: 1e5, count: 24)], dimensions: 24, metric,
            .init(quantization: quantization, reranking: .f16))
        #expect(large.configuration.reranking == (metric == .cosine ? .f16 : .f32))
    }

    /// Components at the ends of what floats hold overflow without a trap, as in a flat index.
    @Test(arguments: Metric.allCases, quantizations)
    func extremeComponents(metric: Metric, quantization: Quantization) throws {
        let greatest = Float.greatestFiniteMagnitude
        let vectors: [[Float]] = [
            [greatest, -greatest], [1, 1], [0, 0], [-greatest, 0x1p-149], [1e20, -1e20],
            [0x1p-130, 3],
        ]
        let index = try SealedFlatIndex.of(
            vectors, dimensions: 2, metric, .init(quantization: quantization))
        let flat = try TestIndex(dimensions: 2, metric: metric)
        for (number, vector) in vectors.enumerated() { try flat.upsert(UInt64(number), vector) }
        for query in vectors {
            for limit in [1, 3, 6] {
                #expect(
                    try index.search(query, limit: limit)
                        == flat.search(query, limit: limit))
            }
        }
    }

    @Test func refusesWhatMakesNoSense() throws {
        let index = try SealedFlatIndex.of([[1, 2], [3, 4]], dimensions: 2, .l2)
        expectError(.invalidLimit, mentions: "found 0") { () throws(VectorError) in
            _ = try index.search([1, 2], limit: 0)
        }
        expectError(.wrongDimensions, mentions: "found 3") { () throws(VectorError) in
            _ = try index.search([1, 2, 3], limit: 1)
        }
        expectError(.notFinite, mentions: "component 1") { () throws(VectorError) in
            _ = try index.search([1, .nan], limit: 1)
        }
        expectError(.invalidEffort, mentions: "found 0") { () throws(VectorError) in
            _ = try index.search([1, 2], limit: 1, accuracy: .effort(0))
        }
        expectError(.invalidEffort, mentions: "found 1.5") { () throws(VectorError) in
            _ = try index.search([1, 2], limit: 1, accuracy: .recall(1.5))
        }
        expectError(.invalidConfiguration, mentions: "rabitq") { () throws(VectorError) in
            _ = try SealedFlatBuilder(
                dimensions: 2, metric: .l2, configuration: .init(quantization: .rabitq))
        }
        expectError(.invalidConfiguration, mentions: "reranking") { () throws(VectorError) in
            _ = try SealedFlatBuilder(
                dimensions: 2, metric: .l2, configuration: .init(reranking: .none))
        }
        expectError(.invalidDimensions, mentions: "found 0") { () throws(VectorError) in
            _ = try SealedFlatBuilder(dimensions: 0, metric: .l2)
        }
        expectError(.duplicateID, mentions: "id 5") { () throws(VectorError) in
            var builder = try SealedFlatBuilder(dimensions: 1, metric: .l2)
            let one: [Float] = [1]
            for id in [5, 6, 5] as [UInt64] { try builder.append(id: id, vector: one.span) }
            _ = try builder.build()
        }
    }
}

extension SealedFlatIndex {
    /// An index of vectors whose ids are their numbers.
    static func of(
        _ vectors: [[Float]], dimensions: Int, _ metric: Metric,
        _ configuration: SealedFlatConfiguration = .init(), threads: Int = 1
    ) throws(VectorError) -> SealedFlatIndex {
        var builder = try SealedFlatBuilder(
            dimensions: dimensions, metric: metric, configuration: configuration)
        for (number, vector) in vectors.enumerated() {
            try builder.append(id: UInt64(number), vector: vector.span)
        }
        return try builder.build(threads: threads)
    }

    // With arrays for spans, which `#expect` cannot copy.

    func search(
        _ query: [Float], limit: Int, accuracy: SearchAccuracy = .exact,
        allowing allowed: VectorBitmap? = nil
    ) throws(VectorError) -> [Neighbor] {
        try search(query.span, limit: limit, accuracy: accuracy, allowing: allowed)
    }

    func search(
        _ query: [Float], within distance: Float, accuracy: SearchAccuracy
    ) throws(VectorError) -> [Neighbor] {
        try search(query.span, within: distance, accuracy: accuracy)
    }

    func search(batch: [Float], limit: Int) throws(VectorError) -> [[Neighbor]] {
        try search(batch: batch.span, limit: limit)
    }

    func compared(batch: [Float], limit: Int) throws(VectorError) -> Int {
        try search(batch: batch.span, limit: limit, allowing: nil).compared
    }
}
