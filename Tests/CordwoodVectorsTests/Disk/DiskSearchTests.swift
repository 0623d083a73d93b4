import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodVectors

@Suite struct DiskSearchTests {
    /// What a search finds depends neither on how pages are read nor on the searches beside it.
    @Test func allWaysToReadFindTheSame() async throws {
        let data = ClusteredVectors(count: 1200, queries: 70, dimensions: 16, seed: 4)
        let batch = Array(data.queries.joined())
        var results: [[[Neighbor]]] = []
        for place in DiskPlace.allCases {
            try await place.withIndex(of: data.vectors, dimensions: 16, .l2) { index in
                for accuracy in [SearchAccuracy.effort(10), .effort(60), .exact] {
                    let found = try index.search(batch: batch.span, limit: 9, accuracy: accuracy)
                    let alone = try data.queries.map {
                        try index.search($0, limit: 9, accuracy: accuracy)
                    }
                    #expect(found == alone, "\(place), \(accuracy)")
                    results.append(found)
                }
            }
        }
        for next in 3..<results.count { #expect(results[next] == results[next - 3]) }
    }

    /// A search counts the pages that it reads, and reads few; an exact one reads each once.
    @Test func countsThePagesThatItReads() async throws {
        let data = ClusteredVectors(count: 2000, queries: 20, dimensions: 24, seed: 5)
        try await DiskPlace.ring.withIndex(of: data.vectors, dimensions: 24, .l2) { index in
            let batch = Array(data.queries.joined())
            let pages = index.pageBytes / 4096
            var walked = DiskSearchStatistics()
            _ = try index.search(
                batch: batch.span, limit: 10, accuracy: .effort(20), allowing: nil,
                statistics: &walked)
            #expect(
                walked.pagesRead >= 20 && walked.pagesRead < 20 * pages / 4, "\(walked) of \(pages)"
            )
            var all = DiskSearchStatistics()
            _ = try index.search(
                batch: batch.span, limit: 10, accuracy: .exact, allowing: nil, statistics: &all)
            #expect(all.pagesRead == pages)
        }
    }

    /// There are as many results as there are vectors, however small the effort.
    @Test(arguments: DiskPlace.allCases)
    func returnsAllThatThereAre(place: DiskPlace) async throws {
        for count in [0, 1, 2, 3, 17, 40, 300] {
            let data = ClusteredVectors(count: count, queries: 3, dimensions: 7, seed: 7)
            try await place.withIndex(
                of: data.vectors, dimensions: 7, .l2, .init(degree: 4, efConstruction: 8)
            ) { index in
                #expect(index.count == count && (index.bytesAllocated > 0) == (count > 0))
                for limit in [1, 2, 10, 1000] {
                    let found = try index.search(
                        data.queries[0], limit: limit, accuracy: .effort(1))
                    #expect(found.count == min(limit, count), "\(limit) of \(count)")
                    #expect(isSorted(found))
                }
                #expect(Set((0..<count).map { index.id(at: $0) }) == Set(0..<UInt64(count)))
            }
        }
    }

    /// Records that fill a part of a page, all of it, or several pages.
    @Test(arguments: [1, 2, 3, 4, 5, 255, 959, 1000, 1001, 1900, 4096])
    func anyNumberOfDimensions(dimensions: Int) async throws {
        let count = dimensions > 500 ? 60 : 400
        let data = ClusteredVectors(count: count, queries: 5, dimensions: dimensions, seed: 8)
        let flat = try data.flatIndex(.l2)
        try await DiskPlace.ring.withIndex(of: data.vectors, dimensions: dimensions, .l2) {
            index in
            for query in data.queries {
                let expected = try flat.search(query, limit: 5)
                #expect(
                    try index.search(query, limit: 5, accuracy: .exact).map(\.id)
                        == expected.map(\.id))
                let found = try index.search(query, limit: 5, accuracy: .effort(200))
                #expect(recall([found], [expected]) >= 0.8, "\(dimensions)")
            }
        }
    }

    /// Components are kept in as few bytes as have them exactly.
    @Test(arguments: Metric.allCases)
    func componentsAreKeptExactly(metric: Metric) async throws {
        var random = SeededGenerator(seed: 9)
        let whole = (0..<500).map { _ in random.wholeVector(20, in: 0...255) }
        let halves = (0..<500).map { _ in random.vector(20).map { Float(Float16($0)) } }
        let floats = (0..<500).map { _ in random.vector(20) }
        for (vectors, element) in [
            (whole, DiskElement.uint8), (halves, .float16), (whole + halves, .float16),
            (floats, .float32), (halves + floats, .float32),
        ] {
            let flat = try TestIndex(dimensions: 20, metric: metric)
            for (id, vector) in vectors.enumerated() { try flat.upsert(UInt64(id), vector) }
            let query = random.vector(20)
            try await DiskPlace.simulated.withIndex(of: vectors, dimensions: 20, metric) { index in
                #expect(index.parts?.layout.element == element)
                let expected = try flat.search(query, limit: 30)
                let found = try index.search(query, limit: 30, accuracy: .exact)
                #expect(found.map(\.id) == expected.map(\.id))
            }
        }
    }

    /// Equal vectors share a node, and are all found, by the smaller id first.
    @Test(arguments: Metric.allCases)
    func equalVectorsAreAllFound(metric: Metric) async throws {
        let few = ClusteredVectors(count: 30, queries: 1, dimensions: 12, seed: 9)
        let vectors = (0..<900).map { few.vectors[$0 % 30] }
        try await DiskPlace.ring.withIndex(of: vectors, dimensions: 12, metric) { index in
            #expect(index.count == 900 && index.nodeCount == 30)
            let found = try index.search(few.vectors[3], limit: 30, accuracy: .effort(30))
            if metric != .innerProduct {
                #expect(found.map(\.id) == (0..<30).map { UInt64(30 * $0 + 3) })
            }
            #expect(try index.search(few.vectors[3], limit: 2000).count == 900)
            #expect(Set((0..<900).map { index.id(at: $0) }) == Set(0..<900))
        }
    }

    @Test func manyThreadsSearchAtOnce() async throws {
        let data = ClusteredVectors(count: 1000, dimensions: 20, seed: 12)
        try await DiskPlace.ring.withIndex(of: data.vectors, dimensions: 20, .l2) { index in
            let expected = try data.queries.map { try index.search($0, limit: 10) }
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for _ in 0..<6 {
                    group.addTask {
                        for effort in [10, 300, 100, 1000, 100] {
                            let found = try data.queries.map {
                                try index.search($0, limit: 10, accuracy: .effort(effort))
                            }
                            if effort == 100, found != expected { return false }
                        }
                        return true
                    }
                }
                for try await isEqual in group { #expect(isEqual) }
            }
        }
    }

    /// What was measured with vectors that are passed over holds for vectors that never were in it.
    @Test func theRecallThatWasMeasuredIsKept() async throws {
        let data = ClusteredVectors(count: 4400, queries: 200, dimensions: 12, seed: 13)
        let flat = try data.flatIndex(.l2)
        let expected = try data.queries.map { try flat.search($0, limit: 10) }
        try await DiskPlace.ring.withIndex(of: data.vectors, dimensions: 12, .l2) { index in
            #expect(!index.calibration.points.isEmpty)
            for wanted in [0.8, 0.95, 0.99] {
                let found = try data.queries.map {
                    try index.search($0, limit: 10, accuracy: .recall(wanted))
                }
                let recall = recall(found, expected)
                #expect(recall >= wanted - 0.02, "\(wanted): \(recall)")
            }
            let all = try index.search(data.queries[0], limit: 10, accuracy: .recall(1))
            #expect(recall([all], [expected[0]]) == 1)
        }
    }

    @Test func refusesWhatMakesNoSense() async throws {
        let data = ClusteredVectors(count: 50, queries: 1, dimensions: 4, seed: 13)
        let query = data.queries[0]
        try await DiskPlace.simulated.withIndex(of: data.vectors, dimensions: 4, .l2) { index in
            expectError(.invalidLimit, mentions: "found 0") { () throws(VectorError) in
                _ = try index.search(query, limit: 0)
            }
            for accuracy in [SearchAccuracy.effort(0), .effort(1 << 20), .recall(0), .recall(1.5)] {
                expectError(.invalidEffort, mentions: "expected") { () throws(VectorError) in
                    _ = try index.search(query, limit: 1, accuracy: accuracy)
                }
            }
            expectError(.wrongDimensions, mentions: "expected 4") { () throws(VectorError) in
                _ = try index.search([1, 2, 3], limit: 1)
            }
            expectError(.notFinite, mentions: "nan") { () throws(VectorError) in
                _ = try index.search([1, 2, 3, .nan], limit: 1)
            }
        }
    }
}
