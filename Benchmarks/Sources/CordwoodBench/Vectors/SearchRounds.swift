import CordwoodVectors

/// How queries are handed over.
enum SearchMode: String, CaseIterable {
    /// All in one call a thread.
    case batch
    /// One at a time.
    case single
}

/// Searches the whole set of queries, round after round; in each as often as fills a tenth of a second,
/// since what takes less is measured badly.
struct SearchRounds {
    private static let shortestRound = Duration.milliseconds(100)

    let index: any IndexUnderTest
    let set: VectorSet
    /// How many of the set's queries each mode searches with.
    let queryCounts: [SearchMode: Int]
    let k: Int
    /// Measured rounds, which one more precedes to warm up.
    let count: Int
    let pacing: Pacing

    struct Measured {
        var mode: SearchMode
        var point: SearchPoint
        var threads: Int
        /// In one pass over them.
        var queryCount: Int
        var queriesPerSecond: Samples
        /// Microseconds of one call: a query's in single mode, a batch's in batch mode.
        var calls: Samples
        /// What the last round found.
        var neighbours: [[Neighbor]]
    }

    /// `between` is called after each measured round.
    func run(
        _ mode: SearchMode, at point: SearchPoint, threads: Int, between: () throws -> Void
    ) async throws -> Measured {
        let clock = ContinuousClock()
        var rates: [Double] = []
        var calls: [Double] = []
        var neighbours: [[Neighbor]] = []
        let queryCount = min(queryCounts[mode] ?? set.queryCount, set.queryCount)
        for round in 0...count {
            try pacing.waitForTurn()
            let start = clock.now
            var searched = 0
            var results: [Part] = []
            repeat {
                results = try await search(mode, point, queryCount, threads: threads)
                searched += queryCount
                if round > 0 { calls += results.flatMap(\.calls) }
            } while start.duration(to: clock.now) < Self.shortestRound
            let rate = Double(searched) / (start.duration(to: clock.now) / .seconds(1))
            defer { pacing.tellRound(round, mode, queriesPerSecond: rate) }
            if round == 0 { continue }
            rates.append(rate)
            neighbours = results.flatMap(\.neighbours)
            try between()
        }
        return Measured(
            mode: mode, point: point, threads: threads, queryCount: queryCount,
            queriesPerSecond: Samples(rates),
            calls: Samples(calls),
            neighbours: neighbours)
    }

    /// What one thread found, and how long its calls took.
    private struct Part: Sendable {
        var neighbours: [[Neighbor]] = []
        var calls: [Double] = []
    }

    /// Searches with the first queries, in order. Several threads take a few at a time: some queries
    /// take longer than others.
    private func search(
        _ mode: SearchMode, _ point: SearchPoint, _ queryCount: Int, threads: Int
    ) async throws -> [Part] {
        let count = threads == 1 ? 1 : 4 * threads
        let bounds = (0...count).map { $0 * queryCount / count }
        let shares = zip(bounds, bounds.dropFirst()).map { $0..<$1 }.filter { !$0.isEmpty }
        if shares.count == 1 { return [try search(mode, point, shares[0])] }
        return try await withThrowingTaskGroup(of: (Int, Part).self) { group in
            var waiting = shares.enumerated().makeIterator()
            func start() {
                guard let (number, share) = waiting.next() else { return }
                group.addTask { (number, try search(mode, point, share)) }
            }
            for _ in 0..<threads { start() }
            var parts = [Part](repeating: Part(), count: shares.count)
            while let (number, part) = try await group.next() {
                parts[number] = part
                start()
            }
            return parts
        }
    }

    private func search(
        _ mode: SearchMode, _ point: SearchPoint, _ share: Range<Int>
    ) throws -> Part {
        let clock = ContinuousClock()
        let queries = set.queries.span
        var part = Part()
        switch mode {
        case .batch:
            let range =
                set.query(share.lowerBound).lowerBound..<set.query(share.upperBound).lowerBound
            let start = clock.now
            part.neighbours = try index.search(
                batch: queries.extracting(range), limit: k, at: point)
            part.calls = [start.duration(to: clock.now) / .microseconds(1)]
        case .single:
            for query in share {
                let start = clock.now
                part.neighbours.append(
                    try index.search(
                        queries.extracting(set.query(query)), limit: k, at: point))
                part.calls.append(start.duration(to: clock.now) / .microseconds(1))
            }
        }
        return part
    }
}
