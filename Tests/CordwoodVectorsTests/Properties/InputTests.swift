import TestSupport
import Testing

@testable import CordwoodVectors

@Suite struct InputTests {
    /// What is no vector of the index is refused when it is added and leaves nothing behind, not even its
    /// id; a vector of zeros is one.
    @Test(arguments: KindOfIndex.all, Metric.allCases)
    func whatIsNoVectorIsRefusedWhenItIsAdded(kind: KindOfIndex, metric: Metric) async throws {
        let data = ClusteredVectors(count: 30, queries: 2, dimensions: 17, seed: 1)
        let vectors = data.vectors + [[Float](repeating: 0, count: 17)]
        let ids = [UInt64.max, 0, 1 << 63] + (3..<31).map { UInt64($0) }
        var refused: [[Float]] = [[], [1], [Float](repeating: 1, count: 18)]
        for bad in [Float.nan, .signalingNaN, .infinity, -.infinity] {
            for place in [0, 8, 16] {
                var vector = data.vectors[place]
                vector[place] = bad
                refused.append(vector)
            }
        }
        let index = try await kind.index(
            of: vectors, ids: ids, dimensions: 17, metric, refused: refused)
        let plain = try await kind.index(of: vectors, ids: ids, dimensions: 17, metric)
        #expect(index.count == 31 && Set(index.ids) == Set(ids))
        for query in data.queries + [vectors[30]] {
            let found = try index.found(query, 31, .exact)
            #expect(try found == plain.found(query, 31, .exact))
            #expect(found.count == 31 && found.allSatisfy { $0.distance.isFinite })
            // A vector of zeros is as far from any as cosine says, and so is any from it.
            if metric == .cosine, kind.kept != .none {
                let zero = try #require(found.first { $0.id == 30 })
                #expect(abs(zero.distance - 1) < 1e-6)
                if query == vectors[30] {
                    #expect(found.allSatisfy { abs($0.distance - 1) < 1e-6 })
                }
            }
        }
    }

    /// Queries, limits and accuracies that make no sense are refused by name.
    @Test(arguments: KindOfIndex.all)
    func searchesThatMakeNoSenseAreRefused(kind: KindOfIndex) async throws {
        let data = ClusteredVectors(count: 50, queries: 1, dimensions: 4, seed: 13)
        let query = data.queries[0]
        for count in [0, 50] {
            let index = try await kind.index(
                of: Array(data.vectors.prefix(count)), dimensions: 4, .l2)
            for limit in [Int.min, -1, 0, FlatIndex.maximumLimit + 1, .max] {
                expectError(.invalidLimit, mentions: "\(limit)") { () throws(VectorError) in
                    _ = try index.found(query, limit, .effort(10))
                }
                expectError(.invalidLimit, mentions: "\(limit)") { () throws(VectorError) in
                    _ = try index.search(query.span, within: 1, maximum: limit)
                }
            }
            for effort in [Int.min, -1, 0, 1_000_001, .max] {
                expectError(.invalidEffort, mentions: "\(effort)") { () throws(VectorError) in
                    _ = try index.found(query, 1, .effort(effort))
                }
            }
            for recall in [-1, 0, 1.5, .infinity, .nan] {
                expectError(.invalidEffort, mentions: "\(recall)") { () throws(VectorError) in
                    _ = try index.found(query, 1, .recall(recall))
                }
            }
            for other in [[], [1, 2, 3], [1, 2, 3, 4, 5]] as [[Float]] {
                expectError(.wrongDimensions, mentions: "4") { () throws(VectorError) in
                    _ = try index.found(other, 1, .exact)
                }
            }
            expectError(.wrongDimensions, mentions: "4") { () throws(VectorError) in
                _ = try index.found(batch: [query, [1, 2, 3]], 1, .exact)
            }
            for bad in [Float.nan, .infinity, -.infinity] {
                expectError(.notFinite, mentions: "component 3") { () throws(VectorError) in
                    _ = try index.found([1, 2, 3, bad], 1, .effort(10))
                }
                expectError(.notFinite, mentions: "query 1") { () throws(VectorError) in
                    _ = try index.found(batch: [query, [1, bad, 2, 3]], 1, .exact)
                }
            }
            expectError(.notFinite, mentions: "nan") { () throws(VectorError) in
                _ = try index.search(query.span, within: .nan)
            }
        }
    }

    /// Builders refuse what no index can have.
    @Test(arguments: KindOfIndex.all)
    func indexesThatMakeNoSenseAreRefused(kind: KindOfIndex) async throws {
        func code(
            _ vectors: [[Float]], ids: [UInt64], dimensions: Int
        ) async throws -> VectorError.Code? {
            do {
                _ = try await kind.index(of: vectors, ids: ids, dimensions: dimensions, .l2)
                return nil
            } catch let error as VectorError { return error.code }
        }
        for dimensions in [Int.min, -1, 0, 65_537, 1 << 32, .max] {
            #expect(try await code([], ids: [], dimensions: dimensions) == .invalidDimensions)
        }
        #expect(try await code([[1], [2], [3]], ids: [5, 6, 5], dimensions: 1) == .duplicateID)
        #expect(try await code([[1], [2], [3]], ids: [5, 6, 7], dimensions: 1) == nil)
    }

    /// None, one, two: every search has an answer.
    @Test(arguments: KindOfIndex.all, Metric.allCases)
    func fewVectorsAreAllFound(kind: KindOfIndex, metric: Metric) async throws {
        for (count, dimensions) in [(0, 3), (1, 3), (2, 1), (3, 9), (17, 7), (40, 2)] {
            let data = ClusteredVectors(
                count: count, queries: 1, dimensions: dimensions, seed: 7)
            let index = try await kind.index(of: data.vectors, dimensions: dimensions, metric)
            #expect(index.count == count && index.ids.sorted() == Array(0..<UInt64(count)))
            for accuracy in [SearchAccuracy.effort(1), .effort(1000), .recall(1), .exact] {
                for limit in [1, 2, 10, 1000] {
                    for allowed in [nil, VectorBitmap(count: count, repeating: true)] {
                        let found = try index.found(
                            data.queries[0], limit, accuracy, allowing: allowed)
                        #expect(
                            found.count == min(limit, count) && isSorted(found),
                            "\(limit) of \(count), \(accuracy)")
                    }
                }
                #expect(
                    try index.found(batch: data.queries + data.queries, 1, accuracy).map(\.count)
                        == [min(1, count), min(1, count)])
            }
        }
    }

    /// No number of dimensions is special: every vector is found, and by an exact search itself first.
    @Test(
        arguments: KindOfIndex.all,
        [
            1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 100, 255, 257, 1000, 1025, 4096,
        ])
    func everyNumberOfDimensions(kind: KindOfIndex, dimensions: Int) async throws {
        let data = ClusteredVectors(count: 20, queries: 1, dimensions: dimensions, seed: 4)
        let metric = Metric.allCases[dimensions % 3]
        let index = try await kind.index(of: data.vectors, dimensions: dimensions, metric)
        for number in [0, 11, 19] {
            let vector = data.vectors[number]
            for accuracy in [SearchAccuracy.effort(20), .exact] {
                let found = try index.found(vector, 20, accuracy)
                #expect(Set(found.map(\.id)) == Set(0..<20) && isSorted(found))
                if dimensions > 4, metric != .innerProduct, kind.kept != .none {
                    #expect(found[0].id == UInt64(number), "\(accuracy)")
                }
            }
        }
    }

    /// Components of very different size, and as large as they can be, overflow without a trap, also in the
    /// index that comes back from a file.
    @Test(arguments: KindOfIndex.all, Metric.allCases)
    func extremeComponents(kind: KindOfIndex, metric: Metric) async throws {
        var random = SeededGenerator(seed: 10)
        let scales: [Float] = [3e38, 1e-38, 1, .leastNonzeroMagnitude, 1e19, 0]
        let vectors =
            (0..<100).map { _ in zip(scales, random.vector(6)).map { $0 * $1 } }
            + [.greatestFiniteMagnitude, -.greatestFiniteMagnitude].map {
                [Float](repeating: $0, count: 6)
            }
        let built = try await kind.index(of: vectors, dimensions: 6, metric)
        for index in [built, kind.hasFile ? try await kind.opened(kind.file(of: built)) : built] {
            for vector in vectors.suffix(12) {
                for accuracy in [SearchAccuracy.effort(10), .exact] {
                    for limit in [10, 200] {
                        let found = try index.found(vector, limit, accuracy)
                        #expect(found.count == min(limit, 102) && isSorted(found), "\(accuracy)")
                        #expect(found.allSatisfy { !$0.distance.isNaN })
                    }
                }
            }
        }
    }
}
