/// The share of an index's vectors that a filter allows.
struct AllowedShare {
    /// By how many deviations the mean is above what is wanted: about one search of forty is short then,
    /// and has to look farther.
    private static let deviations = 2.0

    let allowed: Int
    let count: Int

    var value: Double { Double(allowed) / Double(max(count, 1)) }

    /// How many candidates a search must keep in sight to have `wanted` among them that are allowed, where
    /// each is so by chance: n of a share s have n s, with a variance of n s (1 - s).
    func sight(of wanted: Int) -> Int {
        let spread = Self.deviations * max(0, 1 - value).squareRoot()
        let root = (spread + (spread * spread + 4 * Double(wanted)).squareRoot()) / 2
        let sight = (root * root / value).rounded(.up)
        return sight < Double(count) ? Int(sight) : count
    }
}
