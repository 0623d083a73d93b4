import CordwoodVectors

/// How queries are handed over.
enum SearchMode: String, CaseIterable {
    /// All in one call a thread.
    case batch
    /// One at a time.
    case single
}

/// Searches the whole set of queries, round after round.
struct SearchRounds {
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
        /// In one round.
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
            let results = try await search(mode, point, queryCount, threads: threads)
            let seconds = start.duration(to: clock.now) / .seconds(1)
            let rate = Double(queryCount) / seconds
            defer { pacing.tellRound(round, mode, queriesPerSecond: rate) }
            if round == 0 { continue }
            rates.append(rate)
            calls += results.flatMap(\.calls)
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

    /// Searches with the first queries, divided evenly among the threads, in order.
    private func search(
        _ mode: SearchMode, _ point: SearchPoint, _ queryCount: Int, threads: Int
    ) async throws -> [Part] {
        let bounds = (0...threads).map { $0 * queryCount / threads }
        let shares = zip(bounds, bounds.dropFirst()).map { $0..<$1 }.filter { !$0.isEmpty }
        if shares.count == 1 { return [try search(mode, point, shares[0])] }
        return try await withThrowingTaskGroup(of: (Int, Part).self) { group in
            for (number, share) in shares.enumerated() {
                group.addTask { (number, try search(mode, point, share)) }
            }
            var parts = [Part](repeating: Part(), count: shares.count)
            for try await (number, part) in group { parts[number] = part }
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
