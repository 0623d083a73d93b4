/// Measured values, sorted: medians, percentiles and spread.
struct Samples {
    private let sorted: [Double]

    init(_ values: some Sequence<Double>) { sorted = values.sorted() }

    var count: Int { sorted.count }
    var minimum: Double { sorted.first ?? .nan }
    var maximum: Double { sorted.last ?? .nan }
    var median: Double { percentile(50) }

    /// The smallest value that `percent` of all values do not exceed; for the median of an even
    /// count, the mean of the two in the middle. Not a number where there is no value.
    func percentile(_ percent: Double) -> Double {
        guard !sorted.isEmpty else { return .nan }
        if percent == 50, sorted.count.isMultiple(of: 2) {
            return (sorted[sorted.count / 2 - 1] + sorted[sorted.count / 2]) / 2
        }
        // Less a little, since 99.9 percent of 1000 comes out above 999.
        let rank = (percent / 100 * Double(sorted.count) - 1e-9).rounded(.up)
        return sorted[min(max(Int(rank) - 1, 0), sorted.count - 1)]
    }

    /// The median with the least and the most, for a line of output.
    var json: JSONValue {
        .object([
            ("median", .number(median)), ("min", .number(minimum)), ("max", .number(maximum)),
            ("rounds", .integer(count)),
        ])
    }
}
