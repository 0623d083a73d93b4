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
/// allowed, all are compared; together by the queries of a batch, which is less for each.
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
        let scan =
            wanted > Self.largestPool
            ? SearchPlan.exact
            : Self.scan(
                refined: Self.scanRefined(wanted, limit: limit, quantization), costs, allowed,
                queries)
        guard allowed > 0, wanted < count / 2 else {
            self = scan
            return
        }
        let share = AllowedShare(allowed: allowed, count: count)
        let walks: [SearchPlan] =
            if allowed == count {
                [.walk(ef: wanted, refined: refined, detours: 0)]
            } else {
                [
                    .over(wanted, limit: limit, refined, share),
                    .around(wanted, refined, share, costs),
                ]
                .compactMap { $0 }
            }
        let cheapest = (walks + [scan]).min {
            costs.of($0, allowed, queries) < costs.of($1, allowed, queries)
        }
        self = cheapest ?? scan
    }

    /// How to look for what `queries` of a call lack after this: by a walk that sees more, twice as many
    /// candidates or the neighbours of all neighbours, while that is less than a scan. Nil when
    /// everything was looked at.
    func next(_ costs: SearchCosts, allowed: Int, count: Int, queries: Int) -> SearchPlan? {
        switch self {
        case .exact: return nil
        case .scan, .sharedScan: return .exact
        case .walk(let ef, let refined, let detours):
            let wider = SearchPlan.walk(
                ef: detours == 0 ? 2 * ef : ef, refined: refined,
                detours: detours == 0 ? 0 : costs.degree)
            let scan = Self.scan(refined: 2 * refined, costs, allowed, queries)
            let isWider = detours < costs.degree && 2 * ef <= min(Self.largestPool, count)
            return isWider && costs.of(wider, allowed, queries) < costs.of(scan, allowed, queries)
                ? wider : scan
        }
    }

    /// By the queries one by one or together, whichever is less.
    private static func scan(
        refined: Int, _ costs: SearchCosts, _ allowed: Int, _ queries: Int
    ) -> SearchPlan {
        let alone = SearchPlan.scan(refined: refined)
        let shared = SearchPlan.sharedScan(refined: refined)
        return costs.of(shared, allowed, queries) < costs.of(alone, allowed, queries)
            ? shared : alone
    }

    /// Over all nodes. As many more have to be kept in sight as are taken away; somewhat fewer, since
    /// of more that are wanted a smaller part is missed, but not so few that many a walk would meet
    /// fewer that are allowed than it is to return.
    private static func over(
        _ wanted: Int, limit: Int, _ refined: Int, _ share: AllowedShare
    ) -> SearchPlan? {
        let ef = max(
            Int(Double(wanted) * pow(share.value, -0.8)) + 1,
            share.sight(of: min(limit, share.allowed)))
        return ef > largestPool ? nil : .walk(ef: ef, refined: refined, detours: 0)
    }

    /// Around those that are forbidden. Edges were chosen to lead on from all nodes, not from those
    /// that are left, so that twice as many must be kept in sight. Where a node's neighbours' neighbours
    /// are not enough to find one that is allowed for each of its edges, walks end on islands.
    private static func around(
        _ wanted: Int, _ refined: Int, _ share: AllowedShare, _ costs: SearchCosts
    ) -> SearchPlan? {
        let detours = Int((1 / share.value).rounded(.up))
        guard detours <= costs.degree, 2 * wanted <= largestPool else { return nil }
        return .walk(ef: 2 * wanted, refined: refined, detours: detours)
    }

    /// Of how many nodes among `ef` the order by codes has to be put right.
    static func refined(ef: Int, limit: Int, _ quantization: Quantization) -> Int {
        min(ef, max(leastRefined, limit * perResult(quantization)))
    }

    /// The same for scans, of which more are looked at where codes are coarse: nothing else can go wrong.
    private static func scanRefined(
        _ wanted: Int, limit: Int, _ quantization: Quantization
    ) -> Int {
        let perResult = perResult(quantization)
        return perResult > 2 ? perResult * wanted : max(wanted, leastRefined, perResult * limit)
    }

    private static func perResult(_ quantization: Quantization) -> Int {
        switch quantization {
        case .none: 1
        case .sq8: 2
        case .sq4, .pq4, .pq8, .rabitq, .auto: 4
        }
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
