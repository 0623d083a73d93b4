internal import CCordwoodKernels

/// What searches did.
public struct DiskSearchStatistics: Sendable, Hashable {
    /// Pages of 4 KiB that were read.
    public var pagesRead = 0

    public init() {}
}

extension DiskIndex {
    /// See ``VectorIndex/search(batch:limit:accuracy:allowing:)``.
    ///
    /// A batch keeps the disk busy with several queries at once; what it finds is the same as one query
    /// after the other. An effort must be in ``effortRange``, and one below the limit counts as the
    /// limit; a recall must be above 0 and up to 1. Under a filter the codes of all vectors that are
    /// allowed are compared where a walk would read more (``DiskPlan``).
    ///
    /// Throws also ``VectorError/Code/damaged`` when a page does not match its checksum, and
    /// ``VectorError/Code/storage``.
    public func search(
        batch: Span<Float>, limit: Int, accuracy: SearchAccuracy = .effort(100),
        allowing allowed: VectorBitmap? = nil
    ) throws(VectorError) -> [[Neighbor]] {
        var statistics = DiskSearchStatistics()
        return try search(
            batch: batch, limit: limit, accuracy: accuracy, allowing: allowed,
            statistics: &statistics)
    }

    /// The same, and adds what it did to `statistics`.
    public func search(
        batch: Span<Float>, limit: Int, accuracy: SearchAccuracy, allowing allowed: VectorBitmap?,
        statistics: inout DiskSearchStatistics
    ) throws(VectorError) -> [[Neighbor]] {
        try FlatIndex.validate(limit: limit)
        precondition(
            allowed.map { $0.count == count } ?? true,
            "a filter of \(allowed?.count ?? 0) bits for \(count) vectors")
        let queryCount = try FlatIndex.validate(batch: batch, dimensions: dimensions)
        let plan = try plan(accuracy, limit: limit, allowed: allowed?.setCount ?? count)
        let expected = min(limit, allowed?.setCount ?? count)
        guard queryCount > 0, expected > 0 else {
            return Array(repeating: [], count: queryCount)
        }
        let queries = prepared(batch)
        return try search(
            DiskSearch(
                queries: queries, count: queryCount, expected: expected, plan: plan,
                allowed: allowed), &statistics)
    }

    /// The queries as walks take them: at unit length for the cosine.
    private func prepared(_ batch: Span<Float>) -> SharedFloats {
        let queries = SharedFloats(count: batch.count)
        batch.withUnsafeBufferPointer { batch in
            for start in stride(from: 0, to: batch.count, by: dimensions) {
                let query = batch.baseAddress! + start
                if metric == .cosine {
                    cordwood_f32_normalize(query, dimensions, queries.base + start)
                } else {
                    (queries.base + start).update(from: query, count: dimensions)
                }
            }
        }
        return queries
    }

    /// Searches by a plan for queries that are known to be sound, in an index that is not empty.
    func search(
        _ search: DiskSearch, _ statistics: inout DiskSearchStatistics
    ) throws(VectorError) -> [[Neighbor]] {
        let parts = parts!
        let heaps = NearestHeaps(count: search.count, capacity: search.expected)
        let searcher = try takeSearcher(parts, ef: search.plan.poolSize)
        let readsBefore = searcher.reads
        defer {
            statistics.pagesRead += (searcher.reads - readsBefore) * parts.layout.pagesPerBlock
            searchers.giveBack(searcher)
        }
        var failure: VectorError?
        (search.allowed?.words ?? []).withUnsafeBufferPointer { words in
            let task = DiskSearcher.Task(
                queries: UnsafePointer(search.queries.base), count: search.count,
                plan: search.plan, allowed: search.allowed == nil ? nil : words.baseAddress,
                excluded: search.excluded, heaps: heaps.heaps, dimensions: dimensions)
            do throws(VectorError) {
                if search.plan != .exact { try searcher.run(task) }
                try searchStarvedAgain(task, search, searcher)
                try completeExactly(task, search, searcher)
            } catch { failure = error }
        }
        if let failure { throw failure }
        return heaps.sorted()
    }

    /// Looks farther for those queries whose walks met too few that are allowed, by chance or since most of
    /// what is near is forbidden.
    private func searchStarvedAgain(
        _ task: DiskSearcher.Task, _ search: DiskSearch, _ searcher: DiskSearcher
    ) throws(VectorError) {
        guard case .walk(let ef) = search.plan, let allowed = search.allowed else { return }
        let refined = max(search.expected, ef * allowed.setCount / count)
        for number in searcher.starved {
            let heap = task.heaps + number
            var one = task
            one.queries = task.query(number)
            one.heaps = heap
            one.count = 1
            repeat {
                cordwood_topk_init(heap, heap.pointee.heap, heap.pointee.capacity)
                one.plan = one.plan.wider(refined: refined, allowed: allowed.setCount)
                searcher.makeRoom(ef: one.plan.poolSize)
                try searcher.run(one)
            } while !searcher.starved.isEmpty
        }
    }

    /// Compares all vectors for those queries that have too few results.
    private func completeExactly(
        _ task: DiskSearcher.Task, _ search: DiskSearch, _ searcher: DiskSearcher
    ) throws(VectorError) {
        let short = (0..<task.count).filter {
            Int(task.heaps[$0].count) < search.expected && search.excluded == nil
                || search.plan == .exact
        }
        for number in short {
            let heap = task.heaps + number
            cordwood_topk_init(heap, heap.pointee.heap, heap.pointee.capacity)
        }
        let isWanted = wantedBlocks(search.allowed)
        guard short.count < task.count else {
            return try searcher.compareAll(task, isWanted: isWanted)
        }
        for number in short {
            var one = task
            one.queries = task.query(number)
            one.heaps = task.heaps + number
            one.count = 1
            try searcher.compareAll(one, isWanted: isWanted)
        }
    }

    /// Tells the blocks that have a vector that is allowed.
    private func wantedBlocks(_ allowed: VectorBitmap?) -> (Int) -> Bool {
        guard let allowed, let parts else { return { _ in true } }
        let starts = parts.starts?.pointer(to: UInt32.self)
        let (perBlock, nodeCount) = (parts.layout.nodesPerBlock, nodeCount)
        return { block in
            let first = block * perBlock
            let last = min(first + perBlock, nodeCount)
            let places =
                starts.map {
                    Int(UInt32(littleEndian: $0[first]))..<Int(UInt32(littleEndian: $0[last]))
                }
                ?? first..<last
            return places.contains { allowed[$0] }
        }
    }

    private func plan(
        _ accuracy: SearchAccuracy, limit: Int, allowed: Int
    ) throws(VectorError) -> DiskPlan {
        switch accuracy {
        case .exact: return .exact
        case .recall(let recall):
            guard recall > 0, recall <= 1 else {
                throw VectorError(
                    .invalidEffort, "expected a recall above 0 and up to 1, found \(recall)")
            }
            guard let ef = calibration.walkEffort(for: recall, limit: limit) else { return .exact }
            return DiskPlan(ef: ef, limit: limit, allowed: allowed, count: count)
        case .effort(let ef):
            guard Self.effortRange.contains(ef) else {
                throw VectorError(
                    .invalidEffort,
                    "expected \(Self.effortRange.lowerBound) to \(Self.effortRange.upperBound), "
                        + "found \(ef)")
            }
            return DiskPlan(ef: ef, limit: limit, allowed: allowed, count: count)
        }
    }

    /// A searcher that nobody has, with room for so large a pool.
    private func takeSearcher(_ parts: DiskParts, ef: Int) throws(VectorError) -> DiskSearcher {
        if let searcher = searchers.take() {
            searcher.makeRoom(ef: ef)
            return searcher
        }
        return try DiskSearcher(parts, kernel!, ef: ef)
    }
}

/// Queries and how to search for them.
struct DiskSearch {
    /// One after the other, at unit length for the cosine.
    var queries: SharedFloats
    var count: Int
    /// How many results there are for each.
    var expected: Int
    var plan: DiskPlan
    var allowed: VectorBitmap?
    /// For each query a node that is treated as if it were not there.
    var excluded: [UInt32]?
}
