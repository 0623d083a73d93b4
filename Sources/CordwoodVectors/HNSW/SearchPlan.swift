#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// How the vectors near to a query are looked for.
///
/// While most vectors are allowed, a walk over all of them that keeps more in sight finds as many that
/// are. Where fewer are, it goes around the others, looking at their neighbours in their place, which
/// costs the lists of edges of those it goes around. Where that is dearer than comparing all that are
/// allowed, all are compared.
enum SearchPlan: Equatable {
    /// Compare all vectors that are allowed, exactly.
    case exact
    /// Compare the codes of all vectors that are allowed, and the nearest again.
    case scan(refined: Int)
    /// The same for all queries of a call together, which read the codes once.
    case sharedScan(refined: Int)
    /// Go around up to `detours` forbidden neighbours of each node, or with 0 over them.
    case walk(ef: Int, refined: Int, detours: Int)

    /// So many are not noticed beside the walk.
    private static let leastRefined = 16
    /// A pool is kept in order by moving what is behind a newcomer, which takes longer the larger it is.
    private static let largestPool = 1 << 13

    /// For `queries` of one call, of which `allowed` of `count` vectors may be returned.
    init(
        ef: Int, limit: Int, _ quantization: Quantization, _ costs: SearchCosts, allowed: Int,
        count: Int, queries: Int
    ) {
        let wanted = max(ef, limit)
        let refined = Self.refined(ef: wanted, limit: limit, quantization)
        // The order by codes is put right more generously where that is all that can go wrong.
        let scan =
            wanted > Self.largestPool
            ? SearchPlan.exact
            : Self.scan(
                refined: quantization == .none ? wanted : max(wanted, 2 * refined), costs, allowed,
                queries)
        guard allowed > 0, wanted < count / 2 else {
            self = scan
            return
        }
        let share = Double(allowed) / Double(count)
        let walks: [SearchPlan] =
            if allowed == count {
                [.walk(ef: wanted, refined: refined, detours: 0)]
            } else {
                [
                    .over(wanted, refined, share, least: Self.sight(of: limit, share)),
                    .around(wanted, refined, share, costs),
                ]
                .compactMap { $0 }
            }
        let cheapest = (walks + [scan]).min {
            costs.of($0, allowed, queries) < costs.of($1, allowed, queries)
        }
        self = cheapest ?? scan
    }

    /// What to look for in `queries` for which this was not enough: a walk that sees farther, as long as
    /// that is less than to compare all that are allowed, of `count` nodes. Nil where there is nothing
    /// more to be found.
    func next(_ costs: SearchCosts, allowed: Int, count: Int, queries: Int) -> SearchPlan? {
        switch self {
        case .exact: return nil
        case .scan, .sharedScan: return .exact
        case .walk(let ef, let refined, let detours):
            let scan = Self.scan(refined: max(ef, refined), costs, allowed, queries)
            let wider: SearchPlan =
                detours == 0
                ? .walk(ef: 2 * ef, refined: refined, detours: 0)
                : .walk(ef: ef, refined: refined, detours: costs.degree)
            let isPossible =
                detours == 0 ? 2 * ef <= min(Self.largestPool, count) : detours < costs.degree
            let isLess = costs.of(wider, allowed, queries) < costs.of(scan, allowed, queries)
            return isPossible && isLess ? wider : scan
        }
    }

    /// By the queries one by one or together, whichever is less.
    private static func scan(
        refined: Int, _ costs: SearchCosts, _ allowed: Int, _ queries: Int
    ) -> SearchPlan {
        let plans: [SearchPlan] = [.scan(refined: refined), .sharedScan(refined: refined)]
        return costs.of(plans[1], allowed, queries) < costs.of(plans[0], allowed, queries)
            ? plans[1] : plans[0]
    }

    /// Over all nodes. As many more have to be kept in sight as are taken away; somewhat fewer, since
    /// of more that are wanted a smaller part is missed.
    private static func over(
        _ wanted: Int, _ refined: Int, _ share: Double, least: Int
    ) -> SearchPlan? {
        let ef = max(Int(Double(wanted) * pow(share, -0.8)) + 1, least)
        return ef > largestPool ? nil : .walk(ef: ef, refined: refined, detours: 0)
    }

    /// Of how many nodes, of which each is allowed by chance, fewer than `limit` are allowed so seldom
    /// that it hardly matters what is done then: where the mean is two deviations above the limit, in
    /// about one of forty walks.
    private static func sight(of limit: Int, _ share: Double) -> Int {
        let deviations = 2.0
        let spread = deviations * (1 - share).squareRoot()
        let root = (spread + (spread * spread + 4 * Double(limit)).squareRoot()) / 2
        return Int((root * root / share).rounded(.up))
    }

    /// Around those that are forbidden. Edges were chosen to lead on from all nodes, not from those
    /// that are left, so that twice as many must be kept in sight. Where a node's neighbours' neighbours
    /// are not enough to find one that is allowed for each of its edges, walks end on islands.
    private static func around(
        _ wanted: Int, _ refined: Int, _ share: Double, _ costs: SearchCosts
    ) -> SearchPlan? {
        let detours = Int((1 / share).rounded(.up))
        guard detours <= costs.degree, 2 * wanted <= largestPool else { return nil }
        return .walk(ef: 2 * wanted, refined: refined, detours: detours)
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
        case .scan(let refined), .sharedScan(let refined): refined
        case .walk(let ef, _, _): ef
        }
    }
}

/// About how long the parts of a search take, in nanoseconds; measured on graphs much larger than the
/// caches, where a walk waits for memory and a scan is told ahead what it will read.
struct SearchCosts {
    private static let cacheLine = 64
    /// Distances that a walk computes for each candidate that it keeps in sight: about two thirds of
    /// the lists of 2 M edges.
    private static let distancesPerCandidate = 20.0
    private static let detour = 42.0

    let degree: Int
    private let walked: Double
    private let scanned: Double
    /// To gather a row, and to compare it with a query then.
    private let gathered: Double
    private let compared: Double

    init(degree: Int, rowBytes: Int, hasCodes: Bool) {
        let lines = Double((rowBytes + Self.cacheLine - 1) / Self.cacheLine)
        self.degree = degree
        walked = 18 + 1.5 * lines
        scanned = 5 + 2.8 * lines
        gathered = hasCodes ? 20 + 15 * lines : .infinity
        compared = hasCodes ? 0.3 + 0.4 * lines : .infinity
    }

    /// For each of `queries` that are searched for together, where `allowed` nodes are.
    func of(_ plan: SearchPlan, _ allowed: Int, _ queries: Int) -> Double {
        switch plan {
        case .exact, .scan: Double(allowed) * scanned
        case .sharedScan: Double(allowed) * (compared + gathered / Double(max(queries, 1)))
        case .walk(let ef, _, let detours):
            Double(ef)
                * (Double(detours) * Self.detour + Self.distancesPerCandidate * walked)
        }
    }
}
