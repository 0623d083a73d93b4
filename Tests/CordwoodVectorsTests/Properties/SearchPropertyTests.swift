import TestSupport
import Testing

@testable import CordwoodVectors

// What every search of every kind of index keeps to, for every metric, from one dimension to hundreds.

private let accuracies: [SearchAccuracy] = [.effort(1), .effort(25), .recall(0.9), .exact]

@Suite struct ExactSearchTests {
    /// An exact search finds what double precision says is nearest, as far as what is kept of the
    /// vectors can tell.
    @Test(arguments: KindOfIndex.all.filter { $0.kept != .none }, Metric.allCases)
    func equalsAReferenceInDoublePrecision(kind: KindOfIndex, metric: Metric) async throws {
        try await SearchedIndex.each(kind, metric) { data, index in
            for query in [0, 4, 5] {
                for limit in [10, SearchedData.count] {
                    let found = try index.found(data.queries[query], limit, .exact)
                    data.expectSound(found, query: query, count: limit, of: kind, "\(limit)")
                    data.expectNearest(found, query: query, of: kind, "\(limit)")
                }
            }
        }
    }

    /// Components are small whole numbers, of which every kind computes exact distances: most are equal,
    /// and come by their ids.
    @Test(
        arguments: KindOfIndex.all.filter { $0.kept != .none },
        [Metric.l2, .innerProduct])
    func tiesAreByID(kind: KindOfIndex, metric: Metric) async throws {
        for dimensions in [1, 4, 17] {
            var random = SeededGenerator(seed: UInt64(dimensions))
            let vectors = (0..<300).map { _ in random.wholeVector(dimensions) }
            let ids = (0..<300).map { UInt64($0) &* 0x9e37_79b9_7f4a_7c15 }
            let index = try await kind.index(
                of: vectors, ids: ids, dimensions: dimensions, metric)
            let reference = Reference(
                metric: metric, vectors: Dictionary(uniqueKeysWithValues: zip(ids, vectors)))
            for _ in 0..<4 {
                let query = random.wholeVector(dimensions)
                let expected = reference.ranking(query)
                for limit in [1, 7, 100] {
                    let found = try index.found(query, limit, .exact)
                    #expect(found.map(\.id) == expected.prefix(limit).map(\.id))
                    #expect(
                        found.map { Double($0.distance) }
                            == expected.prefix(limit).map(\.distance))
                }
            }
        }
    }
}

@Suite struct ResultTests {
    /// However little is looked at: as many as are asked for, or as there are; by distance and then by
    /// id; once each; as far away as they say.
    @Test(arguments: KindOfIndex.all, Metric.allCases)
    func areSortedUniqueAndAsManyAsThereAre(kind: KindOfIndex, metric: Metric) async throws {
        try await SearchedIndex.each(kind, metric) { data, index in
            #expect(index.count == SearchedData.count && index.dimensions == data.dimensions)
            #expect(index.metric == metric && Set(index.ids) == Set(data.ids))
            for query in [1, 5] {
                for accuracy in accuracies {
                    for limit in [1, 9, FlatIndex.maximumLimit] {
                        let found = try index.found(data.queries[query], limit, accuracy)
                        data.expectSound(
                            found, query: query, count: min(limit, SearchedData.count), of: kind,
                            "\(accuracy), \(limit)")
                    }
                }
            }
        }
    }

    /// A batch is its queries one by one, whatever the accuracy, with a filter or without; and a search is
    /// the same each time.
    @Test(arguments: KindOfIndex.all, Metric.allCases)
    func ofABatchAreThoseOfItsQueries(kind: KindOfIndex, metric: Metric) async throws {
        try await SearchedIndex.each(kind, metric) { data, index in
            let filters = [nil, index.places { $0 % 3 != 0 }]
            let queries = Array(data.queries.suffix(4))
            for accuracy in [SearchAccuracy.effort(3), .effort(25), .exact] {
                for filter in filters {
                    let found = try index.found(batch: queries, 11, accuracy, allowing: filter)
                    for (query, found) in zip(queries, found) {
                        #expect(
                            try index.found(query, 11, accuracy, allowing: filter) == found,
                            "\(data.dimensions) dimensions, \(accuracy)")
                    }
                }
            }
            #expect(try index.found(batch: [], 11, .effort(10)).isEmpty)
        }
    }

    /// Searches from several tasks at once are those from one: to be run under the thread sanitizer, too.
    @Test(arguments: KindOfIndex.all)
    func ofSearchesAtOnceAreThoseOneByOne(kind: KindOfIndex) async throws {
        let searched = try await SearchedIndex.of(kind, .l2, dimensions: 50)
        let (queries, index) = (searched.data.queries, searched.index)
        let filter = index.places { $0 % 3 != 0 }
        @Sendable func search(_ accuracy: SearchAccuracy) throws -> [[Neighbor]] {
            try queries.map { try index.found($0, 11, accuracy) }
                + index.found(batch: queries, 11, accuracy, allowing: filter)
        }
        let expected = try accuracies.map(search)
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for first in accuracies.indices {
                group.addTask {
                    // Different ones at the same time.
                    try accuracies.indices.map { ($0 + first) % accuracies.count }
                        .allSatisfy { try search(accuracies[$0]) == expected[$0] }
                }
            }
            for try await areEqual in group { #expect(areEqual) }
        }
    }

    /// Within a distance are all that a search for all finds there, and no more than the maximum.
    @Test(arguments: KindOfIndex.all, Metric.allCases)
    func withinADistanceAreAllThatAreThere(kind: KindOfIndex, metric: Metric) async throws {
        try await SearchedIndex.each(kind, metric) { data, index in
            let query = data.queries[1]
            let all = try index.found(query, SearchedData.count, .exact)
            for place in [0, 70] {
                let distance = all[place].distance
                let within = all.filter { $0.distance <= distance }
                #expect(
                    try index.search(query.span, within: distance, accuracy: .exact) == within)
                // By codes alone, searches for fewer compare fewer of them again.
                let few = try index.search(
                    query.span, within: distance, maximum: 3, accuracy: .exact)
                #expect(few == Array(within.prefix(3)) || kind.kept == .none && few.count <= 3)
            }
            let none = all[0].distance - max(1, abs(all[0].distance))
            #expect(try index.search(query.span, within: none, accuracy: .exact).isEmpty)
        }
    }
}

@Suite struct FilterSoundnessTests {
    /// Under any filter: nothing that is not allowed, as many as are, and exactly the nearest of them
    /// where that is asked for.
    @Test(arguments: KindOfIndex.all, Metric.allCases)
    func onlyWhatIsAllowedAndAllOfIt(kind: KindOfIndex, metric: Metric) async throws {
        var random = SeededGenerator(seed: 7)
        try await SearchedIndex.each(kind, metric) { data, index in
            for part in [130, 20, 2] as [UInt64] {
                let ids = Set(data.ids.filter { _ in random.next() % part == 0 })
                let allowed = index.places(where: ids.contains)
                #expect(allowed.setCount == ids.count)
                for query in [0, 5] {
                    for (accuracy, limit) in [
                        (SearchAccuracy.effort(1), 5), (.effort(40), 5), (.recall(0.9), 500),
                        (.exact, 12),
                    ] {
                        let found = try index.found(
                            data.queries[query], limit, accuracy, allowing: allowed)
                        data.expectSound(
                            found, query: query, count: min(limit, ids.count), of: kind,
                            "one of \(part), \(accuracy)", allowing: ids.contains)
                        if accuracy == .exact {
                            data.expectNearest(
                                found, query: query, of: kind, "one of \(part)",
                                allowing: ids.contains)
                        }
                    }
                }
            }
            let none = VectorBitmap(count: index.count)
            #expect(try index.found(data.queries[0], 5, .effort(10), allowing: none).isEmpty)
        }
    }

    /// Deletes are bits that are cleared one after another: what is gone is never returned, and all that
    /// is left is, to the last.
    @Test(arguments: KindOfIndex.all)
    func deletedVectorsAreNeverReturned(kind: KindOfIndex) async throws {
        for (dimensions, metric) in [(7, Metric.l2), (50, .cosine), (3, .innerProduct)] {
            let searched = try await SearchedIndex.of(kind, metric, dimensions: dimensions)
            let (data, index) = (searched.data, searched.index)
            var random = SeededGenerator(seed: 8)
            var live = VectorBitmap(count: index.count, repeating: true)
            var liveIDs = Set(data.ids)
            for place in (0..<index.count).shuffled(using: &random) {
                live[place] = false
                liveIDs.remove(index.id(at: place))
                guard live.setCount % 20 == 0 || live.setCount < 4 else { continue }
                let query = live.setCount % data.queries.count
                for (accuracy, limit) in [
                    (SearchAccuracy.effort(5), 8), (.effort(300), 300), (.exact, 300),
                ] {
                    let found = try index.found(
                        data.queries[query], limit, accuracy, allowing: live)
                    data.expectSound(
                        found, query: query, count: min(limit, liveIDs.count), of: kind,
                        "\(live.setCount) left, \(accuracy)", allowing: liveIDs.contains)
                }
            }
        }
    }
}
