/// What share of the true neighbours searches find, by their effort: measured when the index was built,
/// with vectors that were not in it yet.
public struct RecallCalibration: Sendable, Hashable {
    public struct Point: Sendable, Hashable {
        public var ef: Int
        /// Of the ``RecallCalibration/neighbors`` nearest, 0 to 1.
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

    /// The least effort that promises a recall, or nil where none that was tried does: all vectors are
    /// to be compared then. More results are promised to need as many times more effort.
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
        return Int((ef * max(1, Double(limit) / Double(Self.neighbors))).rounded(.up))
    }
}
