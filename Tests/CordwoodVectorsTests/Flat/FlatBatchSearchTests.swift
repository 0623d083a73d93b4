import CordwoodVectors
import TestSupport
import Testing

/// A batch returns bit for bit what its queries return alone.
@Suite struct FlatBatchSearchTests {
    @Test(arguments: Metric.allCases, [1, 3, 16, 50, 384])
    func equalsSingleSearches(metric: Metric, dimensions: Int) throws {
        var generator = SeededGenerator(seed: UInt64(dimensions))
        let index = try TestIndex(dimensions: dimensions, metric: metric)
        // More rows than a tile, and a last tile that is not a multiple of the kernels' sixteen.
        for id in 0..<UInt64(1_100) {
            try index.upsert(id, generator.vector(dimensions))
        }
        for queries in [1, 3, 4, 37, 300] {
            let batch = generator.vector(dimensions * queries)
            try expectBatchEqualsSingles(index, batch, limit: 10, seed: generator.seed)
        }
        try expectBatchEqualsSingles(
            index, generator.vector(dimensions * 5), limit: 1_200, seed: generator.seed)
    }

    /// Vectors too long for a fused kernel take the way through OpenBLAS on every machine.
    @Test(arguments: Metric.allCases)
    func equalsSingleSearchesForLongVectors(metric: Metric) throws {
        let dimensions = 3_200
        var generator = SeededGenerator(seed: 14)
        let index = try TestIndex(dimensions: dimensions, metric: metric)
        for id in 0..<UInt64(250) {
            try index.upsert(id, generator.vector(dimensions))
        }
        let batch = generator.vector(dimensions * 9)
        try expectBatchEqualsSingles(index, batch, limit: 10, seed: generator.seed)
    }

    /// Rows that lie close together far from the origin: the matrix product's rounding is larger
    /// than the differences between distances, so a bound without its slack loses neighbours.
    @Test(arguments: Metric.allCases)
    func equalsSingleSearchesWhereProductsRoundAway(metric: Metric) throws {
        let dimensions = 96
        var generator = SeededGenerator(seed: 11)
        let center = generator.vector(dimensions).map { $0 * 1000 + 500 }
        func nearby(_ generator: inout SeededGenerator) -> [Float] {
            zip(center, generator.vector(dimensions)).map { $0 + $1 * 0.01 }
        }
        let index = try TestIndex(dimensions: dimensions, metric: metric)
        for id in 0..<UInt64(2_000) {
            try index.upsert(id, nearby(&generator))
        }
        let batch = (0..<40).flatMap { _ in nearby(&generator) }
        try expectBatchEqualsSingles(index, batch, limit: 10, seed: generator.seed)
    }

    /// Rows that move to another block take with them what its bounds must allow for.
    @Test func equalsSingleSearchesAfterRowsMoveBetweenBlocks() throws {
        let dimensions = 2_048
        var generator = SeededGenerator(seed: 15)
        let center = generator.vector(dimensions).map { $0 * 1000 + 500 }
        func nearby(_ generator: inout SeededGenerator) -> [Float] {
            zip(center, generator.vector(dimensions)).map { $0 + $1 * 0.01 }
        }
        let index = try TestIndex(dimensions: dimensions, metric: .innerProduct)
        // A block holds 256 such rows; the second block's rows end up in the first.
        for id in 0..<UInt64(512) {
            let isTiny = id < 256
            try index.upsert(
                id, isTiny ? repeated([0.5], dimensions) : nearby(&generator))
        }
        for id in 0..<UInt64(256) { #expect(index.remove(id)) }
        let batch = (0..<12).flatMap { _ in nearby(&generator) }
        try expectBatchEqualsSingles(index, batch, limit: 10, seed: generator.seed)
    }

    /// A squared norm beyond the largest float says nothing about the distance, which is finite.
    @Test func aNormThatOverflowsHidesNoNeighbor() throws {
        let index = try TestIndex(dimensions: 1, metric: .l2)
        // Enough farther rows that the query has a finite threshold when the nearest one comes.
        for id in 3..<UInt64(100) { try index.upsert(id, [-1.7e19]) }
        try index.upsert(2, [1.85e19])
        let batch = try index.search(batch: repeated([1e18], 8), limit: 1)
        #expect(batch.map { $0.map(\.id) } == Array(repeating: [2], count: 8))
    }

    /// Norms from tiny to huge in one index, with squares that underflow and overflow.
    @Test(arguments: Metric.allCases)
    func equalsSingleSearchesAtEveryScale(metric: Metric) throws {
        let dimensions = 24
        var generator = SeededGenerator(seed: 12)
        let index = try TestIndex(dimensions: dimensions, metric: metric)
        let scales: [Float] = [1e-30, 1e-21, 1e-3, 1, 1e6, 1e18, 1e19, 1e30]
        for id in 0..<UInt64(1_000) {
            let scale = scales[Int(id) % scales.count]
            let vector = generator.vector(dimensions).map { $0 * scale }
            try index.upsert(id, vector)
        }
        for scale in scales {
            let batch = generator.vector(dimensions * 6).map { $0 * scale }
            try expectBatchEqualsSingles(index, batch, limit: 7, seed: generator.seed)
        }
    }

    /// A vector that was replaced or moved must take its norm along.
    @Test(arguments: Metric.allCases)
    func equalsSingleSearchesAfterChanges(metric: Metric) throws {
        let dimensions = 10
        var generator = SeededGenerator(seed: 13)
        let index = try TestIndex(dimensions: dimensions, metric: metric)
        for step in 0..<3_000 {
            let id = UInt64.random(in: 0..<900, using: &generator)
            if step % 3 == 2 {
                _ = index.remove(id)
            } else {
                let scale = Float.random(in: 0...100, using: &generator)
                let vector = generator.vector(dimensions).map { $0 * scale }
                try index.upsert(id, vector)
            }
        }
        let batch = generator.vector(dimensions * 20).map { $0 * 50 }
        try expectBatchEqualsSingles(index, batch, limit: 12, seed: generator.seed)
    }

    private func expectBatchEqualsSingles(
        _ index: TestIndex, _ batch: [Float], limit: Int, seed: UInt64
    ) throws {
        let found = try index.search(batch: batch, limit: limit)
        let queries = batch.count / index.dimensions
        #expect(found.count == queries)
        for query in 0..<queries {
            let range = query * index.dimensions..<(query + 1) * index.dimensions
            let single = try index.search(Array(batch[range]), limit: limit)
            #expect(found[query] == single, "seed \(seed), query \(query) of \(queries)")
        }
    }
}
