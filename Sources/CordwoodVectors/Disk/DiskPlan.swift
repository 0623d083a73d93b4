/// How the vectors near to a query are looked for in an index on disk.
///
/// As in memory (``SearchPlan``) a walk that may return a share of the vectors must see as many times
/// more nodes; here it reads most of them, so that comparing the codes of all that are allowed and
/// reading the nearest alone is the cheaper far earlier.
enum DiskPlan: Equatable {
    /// Read all pages that have a vector that is allowed.
    case exact
    /// Compare the codes of all vectors that are allowed, and read the nearest.
    case scan(refined: Int)
    case walk(ef: Int)

    /// Codes that are compared in the time that a read takes of a thread and of the disk.
    private static let codesPerRead = 400
    /// Reads of a walk for each candidate that it keeps in sight: near ones share pages.
    private static let candidatesPerRead = 2
    private static let largestPool = 1 << 13

    /// `allowed` of `count` vectors may be returned.
    init(ef: Int, limit: Int, allowed: Int, count: Int) {
        let wanted = max(ef, limit)
        // A quarter more than the share says: the allowed are not spread evenly.
        let inSight =
            allowed < count
            ? max(
                wanted * count / max(allowed, 1) * 5 / 4 + 1,
                AllowedShare(allowed: max(allowed, 1), count: count)
                    .sight(of: min(limit, allowed)))
            : wanted
        if inSight <= Self.largestPool, Self.codes(ofReading: inSight - wanted) <= allowed {
            self = .walk(ef: inSight)
        } else if wanted <= Self.largestPool {
            self = .scan(refined: wanted)
        } else {
            self = .exact
        }
    }

    /// How to look for what a walk did not find enough of: with twice as many in sight, until comparing the
    /// codes of all that are allowed, of which `refined` are read, is less.
    func wider(refined: Int, allowed: Int) -> DiskPlan {
        guard case .walk(let ef) = self, 2 * ef <= Self.largestPool,
            Self.codes(ofReading: 2 * ef) <= allowed
        else { return .scan(refined: refined) }
        return .walk(ef: 2 * ef)
    }

    /// How many codes are compared in the time that a walk takes to read so many candidates.
    private static func codes(ofReading candidates: Int) -> Int {
        candidates / candidatesPerRead * codesPerRead
    }

    var isWalk: Bool {
        if case .walk = self { true } else { false }
    }

    /// Room that it needs in the pool.
    var poolSize: Int {
        switch self {
        case .exact: 1
        case .scan(let refined): refined
        case .walk(let ef): ef
        }
    }
}
