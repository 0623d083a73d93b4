/// What share of the true neighbours searches find, by their effort: measured when the index was built,
/// with a random sample of its vectors that were not in it yet, or as if they were not.
///
/// What counts is what the worse half of them finds on average, the half whose neighbours are the farther
/// away: a query that comes from elsewhere is rather like these than like a vector that has its kin beside
/// it, and needs more effort. Where distance does not tell what is hard it is what all of them find, less a
/// standard error of so small a sample. What lies outside of all that the index has seen is promised nothing.
public struct RecallCalibration: Sendable, Hashable {
    public struct Point: Sendable, Hashable {
        public var ef: Int
        /// Of the ``RecallCalibration/neighbors`` nearest, 0 to 1: what is promised.
        public var recall: Double
    }

    /// How many neighbours were looked for.
    public static let neighbors = 10
    /// The efforts that are tried, as far as they find more.
    static let efforts = [
        10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 448, 640, 896, 1280, 1792, 2560, 3584, 5120,
    ]

    /// By rising effort, and recall that does not fall. Empty where there were too few vectors.
    public internal(set) var points: [Point]

    /// The recall to be promised where so many of the ``neighbors`` nearest were found for each of a sample,
    /// of which the last is so far away: the lower of what the farther half finds on average, and of what
    /// all do less one standard error.
    static func promised(hits: [Int], farthest: [Float]) -> Double {
        guard hits.count > 1 else { return 0 }
        func recall(_ hits: [Int]) -> Double {
            Double(hits.reduce(0, +)) / Double(neighbors * hits.count)
        }
        let order = farthest.indices.sorted { (farthest[$0], $0) < (farthest[$1], $1) }
        let ofFarther = recall(order.suffix(hits.count / 2).map { hits[$0] })
        let ofAll = recall(hits)
        let squares = hits.reduce(0) { sum, hits in
            let deviation = Double(hits) / Double(neighbors) - ofAll
            return sum + deviation * deviation
        }
        let error = (squares / Double(hits.count - 1) / Double(hits.count)).squareRoot()
        return max(0, min(ofFarther, ofAll - error))
    }

    /// The least effort that promises a recall, or nil where none that was tried does: all vectors are
    /// to be compared then. More results need more effort, but less than as many times more, since much of
    /// what is found on the way to some is near enough for others: their root is taken, which is enough
    /// for graphs and lists alike where it was measured.
    func effort(for recall: Double, limit: Int) -> Int? {
        guard let index = points.firstIndex(where: { $0.recall >= recall }) else {
            return nil
        }
        let point = points[index]
        var ef = Double(point.ef)
        if index > 0 {
            // Recall rises the slower the higher it is, so a straight line promises less than there is.
            let before = points[index - 1]
            let part =
                (recall - before.recall) / (point.recall - before.recall)
            ef = Double(before.ef) + part * Double(point.ef - before.ef)
        }
        let more = (max(1, Double(limit) / Double(Self.neighbors))).squareRoot()
        return Int((ef * more).rounded(.up))
    }

    /// The same for walks, which keep at least as many in sight as they return: with more results than were
    /// measured a quarter more, since the last of as many are those that codes put in the wrong order.
    func walkEffort(for recall: Double, limit: Int) -> Int? {
        guard let ef = effort(for: recall, limit: limit) else { return nil }
        return limit > Self.neighbors ? max(ef, limit + limit / 4) : ef
    }
}
