import CordwoodVectors
import TestSupport
import Testing

/// Mutations and lookups.
@Suite struct FlatIndexTests {
    /// Random operations against a dictionary, over several blocks and table sizes.
    @Test(arguments: Metric.allCases)
    func agreesWithADictionary(metric: Metric) throws {
        let dimensions = 1_500
        var generator = SeededGenerator(seed: 5)
        let index = try TestIndex(dimensions: dimensions, metric: metric)
        var model: [UInt64: (vector: [Float], offset: Int64)] = [:]
        for step in 0..<4_000 {
            // Growth first, then mostly removals, so that blocks come and go.
            let removes = Int.random(in: 0..<10, using: &generator) < (step < 2_000 ? 2 : 7)
            let id = UInt64.random(in: 0..<1_200, using: &generator)
            if removes {
                #expect(index.remove(id) == (model.removeValue(forKey: id) != nil))
            } else {
                var vector = [Float](repeating: 0, count: dimensions)
                vector[Int(id) % dimensions] = 1
                vector[0] = metric == .cosine ? vector[0] : Float(step)
                let offset = Self.offsets.randomElement(using: &generator)! + Int64(step)
                try index.upsert(id, vector, offset: offset)
                model[id] = (vector, offset)
            }
            #expect(index.count == model.count)
        }
        #expect(model.count > 10)
        for id in 0..<UInt64(1_200) {
            #expect(index.contains(id) == (model[id] != nil))
            #expect(index.offset(of: id) == model[id]?.offset)
            #expect(index.vector(of: id) == model[id]?.vector, "seed \(generator.seed), id \(id)")
        }
        for id in model.keys { #expect(index.remove(id)) }
        #expect(index.count == 0)
        #expect(try index.search([Float](repeating: 1, count: dimensions), limit: 9) == [])
    }

    /// Ordinary offsets, both sides of what fits in a row, and what never does.
    private static let offsets: [Int64] = [
        0, 7_000_000_000, 1 << 40 - 2_000, 1 << 40, 1 << 62, -5_000,
    ]

    @Test func offsetsAroundTheRowsLimitAreKept() throws {
        let index = try TestIndex(dimensions: 1, metric: .l2)
        let limit: Int64 = 1 << 40
        for offset in [0, 1 << 32 - 1, 1 << 32, limit - 1, limit, limit + 1, 3, .max, .min, -1, 4] {
            try index.upsert(8, [1], offset: offset)
            #expect(index.offset(of: 8) == offset)
        }
        try index.upsert(8, [1], offset: .max)
        #expect(index.remove(8))
        try index.upsert(8, [1], offset: 2)
        #expect(index.offset(of: 8) == 2)
    }

    @Test func cosineStoresUnitLength() throws {
        let index = try TestIndex(dimensions: 2, metric: .cosine)
        try index.upsert(1, [3, 4])
        #expect(index.vector(of: 1) == [0.6, 0.8])
        try index.upsert(1, [3e38, -3e38])
        let root = Float(0.5.squareRoot())
        #expect(index.vector(of: 1) == [root, -root])
    }

    @Test(arguments: [-1, 0, 65_537, .max])
    func dimensionsOutsideTheRangeAreRefused(dimensions: Int) {
        expectError(.invalidDimensions, mentions: "found \(dimensions)") {
            () throws(VectorError) in _ = try TestIndex(dimensions: dimensions, metric: .l2)
        }
    }

    @Test func theLargestDimensionsWork() throws {
        let dimensions = FlatIndex.dimensionsRange.upperBound
        let index = try TestIndex(dimensions: dimensions, metric: .l2)
        var generator = SeededGenerator(seed: 9)
        for id in 0..<UInt64(9) {
            try index.upsert(id, generator.vector(dimensions))
        }
        let stored = try #require(index.vector(of: 6))
        let found = try index.search(stored, limit: 1)
        #expect(found == [Neighbor(id: 6, distance: 0)])
        let batch = try index.search(batch: repeated(stored, 4), limit: 1)
        #expect(batch == Array(repeating: found, count: 4))
    }

    @Test(arguments: [Float.nan, .infinity, -.infinity, .signalingNaN], [0, 15, 16, 49])
    func vectorsThatAreNotFiniteChangeNothing(bad: Float, component: Int) throws {
        let index = try TestIndex(dimensions: 50, metric: .l2)
        let good = [Float](repeating: 1, count: 50)
        try index.upsert(1, good, offset: 10)
        var vector = good
        vector[component] = bad
        for id in [UInt64(1), 2] {
            do throws(VectorError) {
                try index.upsert(id, vector, offset: 20)
                Issue.record("\(bad) was stored")
            } catch {
                #expect(error.code == .notFinite)
                #expect(error.detail.contains("component \(component) of 50"))
            }
        }
        #expect(index.count == 1 && !index.contains(2))
        #expect(index.vector(of: 1) == good && index.offset(of: 1) == 10)
    }

    @Test(arguments: [0, 49, 51])
    func vectorsOfOtherDimensionsChangeNothing(count: Int) throws {
        let index = try TestIndex(dimensions: 50, metric: .innerProduct)
        do throws(VectorError) {
            try index.upsert(1, [Float](repeating: 0, count: count))
            Issue.record("\(count) components were stored")
        } catch {
            #expect(error.code == .wrongDimensions)
            #expect(error.detail == "expected 50 components, found \(count)")
        }
        #expect(index.count == 0)
    }

    /// Rows are not padded; what is beside each takes at most 24 bytes, and some pages.
    @Test(arguments: Metric.allCases, [(50, 20_000), (50, 61_000), (384, 5_000)])
    func memoryIsThatOfTheRowsAndLittleBeside(metric: Metric, shape: (Int, Int)) throws {
        let (dimensions, count) = shape
        let index = try TestIndex(dimensions: dimensions, metric: metric)
        let vector = [Float](repeating: 0.5, count: dimensions)
        for id in 0..<UInt64(count) {
            try index.upsert(id &* 0x9e37_79b9_7f4a_7c15, vector, offset: Int64(id))
        }
        let rows = dimensions * 4 * count
        #expect(index.bytesAllocated >= rows + 13 * count)
        #expect(
            index.bytesAllocated <= rows + 24 * count + 64 * 1024,
            "\(index.bytesAllocated) bytes, \(rows) of them rows")
    }

    @Test func removalsGiveMemoryBack() throws {
        let index = try TestIndex(dimensions: 4_000, metric: .l2)
        let vector = [Float](repeating: 0.5, count: 4_000)
        try index.upsert(0, vector)
        let one = index.bytesAllocated
        for id in 0..<UInt64(600) { try index.upsert(id, vector, offset: .max) }
        #expect(index.bytesAllocated > 600 * 16_000)
        for id in 1..<UInt64(600) { #expect(index.remove(id)) }
        try index.upsert(0, vector)
        // What the table has grown to stays.
        #expect(index.bytesAllocated <= one + 600 * 7)
    }
}
