/// How the vectors near to a query are looked for.
enum IVFPlan: Equatable {
    /// Compare all vectors that are allowed, exactly.
    case exact
    /// Read so many lists, and compare the nearest by their codes again.
    case lists(probes: Int, refined: Int)

    /// Bytes that are read one after another in the time of one that is read here and there.
    private static let sequentialPerScattered = 2
    /// So many lists more are worth one more to each result that is compared again.
    private static let probesPerRefined = 4
    private static let mostRefined = 64

    /// `probes` are nil for all, compared exactly; `allowed` of `count` vectors may be returned.
    init(
        probes: Int?, limit: Int, lists: Int, count: Int, allowed: Int, codeBytes: Int,
        vectorBytes: Int, hasExactRows: Bool, _ quantization: Quantization
    ) {
        guard let probes else {
            // Without the vectors, the order by codes is all that there is.
            self = hasExactRows ? .exact : .lists(probes: lists, refined: limit)
            return
        }
        let refined = Self.refined(probes: probes, limit: limit, quantization)
        // Under a filter as many more lists are read as it takes away.
        let inSight = Double(min(probes, lists)) * Double(count) / Double(max(allowed, 1))
        let share = min(1, inSight / Double(max(lists, 1)))
        let read = share * Double(count * codeBytes) + Double(refined * vectorBytes)
        let scattered = Double(allowed * vectorBytes * Self.sequentialPerScattered)
        let isExactLess = allowed < count ? scattered < read : share >= 1 && quantization == .none
        self = hasExactRows && isExactLess ? .exact : .lists(probes: probes, refined: refined)
    }

    /// Of how many vectors the order by codes has to be put right. Who reads more lists wants more of the
    /// neighbours, and those that codes put farther back are then what is missing.
    static func refined(probes: Int, limit: Int, _ quantization: Quantization) -> Int {
        let perResult =
            switch quantization {
            case .none: 1
            case .sq8: 2
            case .sq4, .pq4, .pq8, .rabitq, .auto:
                min(4 + probes / Self.probesPerRefined, Self.mostRefined)
            }
        return limit * perResult
    }
}
