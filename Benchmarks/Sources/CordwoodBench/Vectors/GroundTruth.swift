import CordwoodVectors

/// The exact neighbours of every query.
///
/// Computed once by the flat index, held against a double-precision scan for some of the queries,
/// and kept in a file beside the base. The file's name and its first lines say what it was computed
/// from, so that a base that has changed gets a new one.
struct GroundTruth {
    /// Queries whose neighbours are checked by a scan that shares no code with the index.
    private static let checkedQueries = 16
    private static let title = "cordwood ground truth 1\n"

    private let metric: Metric
    private let k: Int
    /// Of each query, k numbers of rows.
    private let ids: [UInt32]

    /// Reads the truth from its file, or computes it and writes the file.
    static func load(
        or index: FlatUnderTest, _ set: VectorSet, metric: Metric, k: Int, _ allowed: RowFilter?
    ) throws -> GroundTruth {
        let k = min(k, index.index.count)
        let filter = allowed.map { "; allowed \(String(digest($0.bytes), radix: 16))" } ?? ""
        let key = "\(set.identity); \(metric.rawValue); k \(k)\(filter)\n"
        let path = "\(set.basePath).truth-\(String(digest(key.utf8), radix: 16))"
        let header = Array((title + key).utf8)
        if let bytes = SmallFile.readBytes(path), bytes.starts(with: header),
            bytes.count == header.count + 4 * k * set.queryCount
        {
            return GroundTruth(metric: metric, k: k, ids: numbers(bytes[header.count...]))
        }
        Terminal.note("computing the exact neighbours of \(set.queryCount) queries")
        let found = try index.index.search(batch: set.queries.span, limit: k)
        let truth = GroundTruth(
            metric: metric, k: k, ids: found.flatMap { $0.map { UInt32($0.id) } })
        try truth.check(against: set, allowed)
        do {
            try SmallFile.replace(path, with: header + bytes(of: truth.ids))
        } catch {
            Terminal.note("the exact neighbours are not kept: \(error)")
        }
        return truth
    }

    /// The share of true neighbours that were found: a result counts when it is no farther than the
    /// true k-th neighbour, whichever of several equal ones it is.
    func recall(
        of results: [[Neighbor]], in index: FlatUnderTest, _ set: VectorSet
    ) -> Double {
        var hits = 0
        for (query, found) in results.enumerated() {
            func distance(_ id: UInt64) -> Double {
                guard let vector = index.index.vector(of: id) else { return .infinity }
                return ExactDistance.between(
                    set.queries.span.extracting(set.query(query)), vector.span, metric)
            }
            let nearest = ids[query * k..<(query + 1) * k]
            let farthest = nearest.map { distance(UInt64($0)) }.max() ?? 0
            // The index sums in single precision, and may take either of two that differ less.
            let bound = farthest + 1e-6 * abs(farthest)
            hits += min(k, Set(found.map(\.id)).filter { distance($0) <= bound }.count)
        }
        return Double(hits) / Double(k * results.count)
    }

    /// Throws where the neighbours of a query are not those of a plain scan of the file.
    private func check(against set: VectorSet, _ allowed: RowFilter?) throws {
        let step = max(1, set.queryCount / Self.checkedQueries)
        let queries = Array(stride(from: 0, to: set.queryCount, by: step))
        var nearest = queries.map { _ in [Double]() }
        var farthestFound = queries.map { _ in -Double.infinity }
        try set.forEachRow { id, vector in
            guard allowed?[id] ?? true else { return }
            for (place, query) in queries.enumerated() {
                let distance = ExactDistance.between(
                    set.queries.span.extracting(set.query(query)), vector, metric)
                if ids[query * k..<(query + 1) * k].contains(UInt32(id)) {
                    farthestFound[place] = max(farthestFound[place], distance)
                }
                Self.keep(distance, among: &nearest[place], limit: k)
            }
        }
        for (place, query) in queries.enumerated() {
            let expected = nearest[place].last ?? 0
            let found = farthestFound[place]
            guard abs(found - expected) <= 1e-4 * abs(expected) + 1e-5 else {
                throw BenchError(
                    "query \(query): a plain scan finds the neighbour \(k) at \(expected), "
                        + "the index at \(found)")
            }
        }
    }

    /// Inserts a distance into the sorted `limit` smallest.
    private static func keep(_ distance: Double, among nearest: inout [Double], limit: Int) {
        if nearest.count == limit, distance >= nearest[limit - 1] { return }
        nearest.insert(distance, at: nearest.firstIndex { $0 > distance } ?? nearest.count)
        if nearest.count > limit { nearest.removeLast() }
    }

    // MARK: The file

    private static func bytes(of ids: [UInt32]) -> [UInt8] {
        ids.flatMap { id in (0..<4).map { UInt8(truncatingIfNeeded: id >> (8 * UInt32($0))) } }
    }

    private static func numbers(_ bytes: ArraySlice<UInt8>) -> [UInt32] {
        stride(from: bytes.startIndex, to: bytes.endIndex, by: 4).map { place in
            (0..<4).reduce(0) { $0 | UInt32(bytes[place + $1]) << UInt32(8 * $1) }
        }
    }

    /// FNV-1a, which is all that a file name needs: the file says its whole key.
    private static func digest(_ bytes: some Sequence<UInt8>) -> UInt64 {
        bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }
}
