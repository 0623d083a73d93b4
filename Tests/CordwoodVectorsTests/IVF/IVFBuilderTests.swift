import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodVectors

@Suite struct IVFBuilderTests {
    /// The same vectors in the same order give the same index, on any number of threads; another seed
    /// another one.
    @Test(arguments: IVFIndex.quantizations)
    func theNumberOfThreadsDoesNotMatter(quantization: Quantization) throws {
        let data = ClusteredVectors(count: 5000, queries: 1, dimensions: 12, seed: 1)
        func parts(_ threads: Int, seed: UInt64 = 0) throws -> [[UInt8]] {
            let index = try data.lists(
                .l2, .init(lists: 300, quantization: quantization, seed: seed), threads: threads)
            let parts = index.parts!
            #expect(index.calibration.points.count > 2)
            return [
                parts.lists.centroids, parts.lists.starts, parts.codes?.bytes ?? parts.ids,
                parts.ids, .copy(of: index.calibration.points.map(\.recall)),
            ].map { Array($0.unsafeBytes) }
        }
        let expected = try parts(1)
        for threads in [2, 5] { #expect(try parts(threads) == expected, "\(threads)") }
        #expect(try parts(1, seed: 1) != expected)
    }

    /// Every vector is in one list, and mostly in that of a centroid as near as any.
    @Test(arguments: [10, 200, 300, 700])
    func vectorsAreInTheListsOfNearCentroids(lists: Int) throws {
        let data = ClusteredVectors(count: 4000, queries: 1, dimensions: 10, seed: 2)
        let index = try data.lists(.l2, .init(lists: lists, quantization: .none))
        let parts = try #require(index.parts)
        #expect(parts.lists.count == lists)
        #expect(Set((0..<4000).map { index.id(at: $0) }).count == 4000)
        let reference = Reference(metric: .l2)
        let centroids = (0..<lists).map { list in
            (0..<10).map { component in
                Float(
                    bitPattern: parts.lists.centroids.unsafeBytes.number(
                        4 * (10 * list + component), UInt32.self))
            }
        }
        var sizes: [Int] = []
        var missed = 0
        for list in 0..<lists {
            let places = parts.lists.places(of: list)
            sizes.append(places.count)
            for place in places where place % 10 == 0 {
                let vector = data.vectors[Int(index.id(at: place))]
                let own = reference.distance(vector, centroids[list])
                let least = centroids.map { reference.distance(vector, $0) }.min()!
                if own > least + 1e-4 { missed += 1 }
            }
        }
        #expect(sizes.reduce(0, +) == 4000)
        #expect(missed <= (lists > 256 ? 20 : 0), "\(missed) of 400")
        // A search of a vector's own kind reads few lists because none is much too large.
        #expect(sizes.max()! <= 12 * 4000 / lists, "\(sizes.max()!)")
        #expect(sizes.count { $0 == 0 } <= lists / 10)
    }

    @Test func sharesAreInProportion() {
        #expect(ListTraining.shares(of: 10, [50, 30, 20]) == [5, 3, 2])
        #expect(ListTraining.shares(of: 4, [1, 1, 1, 1]) == [1, 1, 1, 1])
        #expect(ListTraining.shares(of: 5, [0, 2, 3]) == [0, 2, 3])
        for seed in 1...50 as ClosedRange<UInt64> {
            var random = SeededGenerator(seed: seed)
            let sizes = (0..<20).map { _ in Int.random(in: 0...30, using: &random) }
            let count = Int.random(in: 0...sizes.reduce(0, +), using: &random)
            let shares = ListTraining.shares(of: count, sizes)
            #expect(shares.reduce(0, +) == count, "seed \(seed)")
            #expect(zip(shares, sizes).allSatisfy { $0 <= $1 }, "seed \(seed)")
        }
    }

    /// The choice says what it is, and is one of those that it may be.
    @Test func autoSaysWhatItChose() throws {
        let data = ClusteredVectors(count: 5000, queries: 30, dimensions: 32, seed: 3)
        let index = try data.lists(.cosine, .init(quantization: .auto))
        #expect(IVFChoice.candidates.contains(index.configuration.quantization))
        let costs = try IVFChoice.candidates.map {
            IVFChoice.cost(try data.lists(.cosine, .init(quantization: $0)))
        }
        #expect(IVFChoice.cost(index) == costs.min())
        let small = try ClusteredVectors(count: 0, queries: 1, dimensions: 4, seed: 3)
            .lists(.l2, .init(quantization: .auto))
        #expect(small.configuration.quantization == .none && small.count == 0)
    }

    /// What was promised with held-out vectors is kept with queries that nobody had.
    @Test(arguments: [Metric.l2, .cosine], [Quantization.none, .sq8, .pq4])
    func keepsTheRecallItPromises(metric: Metric, quantization: Quantization) throws {
        let data = ClusteredVectors(count: 6000, queries: 200, dimensions: 24, seed: 4)
        let index = try data.lists(metric, .init(quantization: quantization))
        let flat = try data.flatIndex(metric)
        let expected = try data.queries.map { try flat.search($0, limit: 10) }
        let points = index.calibration.points
        #expect(points.count > 3)
        #expect(zip(points, points.dropFirst()).allSatisfy { $0.ef < $1.ef })
        #expect(zip(points, points.dropFirst()).allSatisfy { $0.recall <= $1.recall })
        for promised in [0.7, 0.9, 0.95] {
            let found = try data.queries.map {
                try index.search($0, limit: 10, accuracy: .recall(promised))
            }
            #expect(recall(found, expected) > promised - 0.02, "\(promised): \(points)")
        }
        let exact = try data.queries.map { try index.search($0, limit: 10, accuracy: .recall(1)) }
        #expect(quantization != .none || recall(exact, expected) > 0.995)
        for recall in [0, -1, 1.1, .nan] {
            expectError(.invalidEffort, mentions: "recall above 0") { () throws(VectorError) in
                _ = try index.search(data.queries[0], limit: 3, accuracy: .recall(recall))
            }
        }
    }

    @Test func progressIsTold() throws {
        let data = ClusteredVectors(count: 500, queries: 1, dimensions: 4, seed: 3)
        var builder = try IVFBuilder(dimensions: 4, metric: .l2)
        for (number, vector) in data.vectors.enumerated() {
            try builder.append(id: UInt64(number), vector: vector.span)
        }
        let told = Told()
        _ = try builder.build(threads: 2) { told.counts.append($0) }
        #expect(told.counts == told.counts.sorted() && told.counts.last == 500)
    }

    /// Written by one thread at a time, as the builder says.
    private final class Told: @unchecked Sendable {
        var counts: [Int] = []
    }

    @Test func refusesWhatMakesNoSense() throws {
        expectError(.invalidDimensions, mentions: "found 0") { () throws(VectorError) in
            _ = try IVFBuilder(dimensions: 0, metric: .l2)
        }
        for (configuration, words) in [
            (IVFConfiguration(lists: 0), "lists: expected 1 to 65536, found 0"),
            (IVFConfiguration(lists: 65_537), "found 65537"),
            (IVFConfiguration(groupWidth: 0), "groupWidth: expected 1 to 64, found 0"),
            (IVFConfiguration(groupWidth: 65), "found 65"),
            (IVFConfiguration(quantization: .sq4), "found sq4"),
        ] {
            expectError(.invalidConfiguration, mentions: words) { () throws(VectorError) in
                _ = try IVFBuilder(dimensions: 3, metric: .l2, configuration: configuration)
            }
        }
        var builder = try IVFBuilder(dimensions: 2, metric: .l2)
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

    @Test(arguments: [1, 2, 3, 7, 64])
    func everyWidthOfGroups(width: Int) throws {
        let data = ClusteredVectors(count: 600, queries: 20, dimensions: 50, seed: 5)
        let flat = try data.flatIndex(.l2)
        let expected = try data.queries.map { try flat.search($0, limit: 10) }
        for quantization in [Quantization.pq4, .pq8] {
            let index = try data.lists(
                .l2, .init(lists: 10, quantization: quantization, groupWidth: width))
            let found = try data.queries.map {
                try index.search($0, limit: 10, accuracy: .effort(10))
            }
            #expect(recall(found, expected) > (width > 7 ? 0.3 : 0.9), "\(quantization)")
        }
    }
}
