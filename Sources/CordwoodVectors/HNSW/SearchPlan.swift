internal import CCordwoodKernels

/// How the vectors near to a query are looked for.
///
/// A walk that may return a share of the vectors must see as many times more nodes to find as many that
/// it may return, so its work grows as the share falls, while that of comparing all that are allowed
/// falls with it. Where the walk is the dearer of the two, all are compared.
enum SearchPlan: Equatable {
    /// Compare all vectors that are allowed, exactly.
    case exact
    /// Compare the codes of all vectors that are allowed, and the nearest again.
    case scan(refined: Int)
    case walk(ef: Int, refined: Int)

    /// Distances that a walk computes for each candidate that it keeps in sight: measured, about two
    /// thirds of the lists of 2 M edges.
    private static let distancesPerCandidate = 20
    /// How many codes are compared one after another in the time of one that a walk has to wait for.
    private static let scannedPerWalked = 2
    /// So many are not noticed beside the walk.
    private static let leastRefined = 16
    /// A pool is kept in order by moving what is behind a newcomer, which takes longer the larger it is.
    private static let largestPool = 1 << 13

    /// `allowed` of `count` vectors may be returned.
    init(ef: Int, limit: Int, quantization: Quantization, allowed: Int, count: Int) {
        let wanted = max(ef, limit)
        // A quarter more than the share says: the allowed are not spread evenly.
        let inSight = allowed < count ? wanted * count / max(allowed, 1) * 5 / 4 + 1 : wanted
        let walked = inSight * Self.distancesPerCandidate * Self.scannedPerWalked
        let refined = Self.refined(ef: wanted, limit: limit, quantization)
        if inSight <= Self.largestPool, walked <= allowed {
            self = .walk(ef: inSight, refined: refined)
        } else if wanted <= Self.largestPool {
            // The order by codes is put right more generously where that is all that can go wrong.
            self = .scan(
                refined: quantization == .none
                    ? wanted : Self.refined(ef: 4 * wanted, limit: wanted, quantization))
        } else {
            self = .exact
        }
    }

    /// Of how many nodes among `ef` the order by codes has to be put right.
    static func refined(ef: Int, limit: Int, _ quantization: Quantization) -> Int {
        let perResult =
            switch quantization {
            case .none: 1
            case .sq8: 2
            case .sq4, .pq4, .pq8, .rabitq, .auto: 4
            }
        return min(ef, max(leastRefined, limit * perResult))
    }

    /// Room that it needs in the pool.
    var poolCapacity: Int {
        switch self {
        case .exact: 1
        case .scan(let refined): refined
        case .walk(let ef, _): ef
        }
    }
}
