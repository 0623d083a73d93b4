import CCordwoodKernels
import TestSupport
import Testing

@testable import CordwoodVectors

@Suite struct HNSWBuilderTests {
    /// Vectors that come sorted, as a file often has them, are found as those that do not.
    @Test func theOrderOfVectorsDoesNotMatter() throws {
        let data = ClusteredVectors(count: 3000, dimensions: 12, seed: 2)
        let sorted = data.vectors.sorted { $0[0] < $1[0] }
        let index = try HNSWIndex.of(sorted, dimensions: 12, .l2)
        let flat = try data.flatIndex(.l2)
        let found = try data.queries.map { try index.search($0, limit: 10) }
        let expected = try data.queries.map { try flat.search($0, limit: 10) }
        #expect(recall(found, expected) > 0.97)
    }

    @Test func progressIsTold() throws {
        let data = ClusteredVectors(count: 2000, queries: 1, dimensions: 4, seed: 3)
        var builder = try HNSWBuilder(dimensions: 4, metric: .l2)
        for (number, vector) in data.vectors.enumerated() {
            try builder.append(id: UInt64(number), vector: vector.span)
        }
        let told = Told()
        let index = try builder.build(threads: 2) { told.counts.append($0) }
        #expect(told.counts == told.counts.sorted() && told.counts.last == index.nodeCount)
        #expect(told.counts.count > 20)
    }

    /// Written by one thread at a time, as the builder says.
    private final class Told: @unchecked Sendable {
        var counts: [Int] = []
    }

    @Test func refusesWhatMakesNoSense() throws {
        expectError(.invalidDimensions, mentions: "found 0") { () throws(VectorError) in
            _ = try HNSWBuilder(dimensions: 0, metric: .l2)
        }
        for (configuration, words) in [
            (HNSWConfiguration(neighbors: 1), "neighbors: expected 2 to 128, found 1"),
            (HNSWConfiguration(neighbors: 129), "found 129"),
            (HNSWConfiguration(efConstruction: 5000), "efConstruction: expected 8 to 4096"),
            (HNSWConfiguration(neighbors: 64, efConstruction: 32), "expected at least 64"),
        ] {
            expectError(.invalidConfiguration, mentions: words) { () throws(VectorError) in
                _ = try HNSWBuilder(dimensions: 3, metric: .l2, configuration: configuration)
            }
        }
        var builder = try HNSWBuilder(dimensions: 2, metric: .l2)
        try builder.append(id: 7, vector: [1, 2].span)
        #expect(throws: VectorError.self) { try builder.append(id: 8, vector: [1].span) }
        #expect(throws: VectorError.self) { try builder.append(id: 8, vector: [1, .nan].span) }
        #expect(builder.count == 1)
        try builder.append(id: 7, vector: [3, 4].span)
        do throws(VectorError) {
            _ = try builder.build()
            Issue.record("an id came twice")
        } catch { #expect(error.code == .duplicateID) }
    }
}
