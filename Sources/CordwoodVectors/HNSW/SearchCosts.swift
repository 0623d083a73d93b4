/// About how long the parts of a search take, in nanoseconds; fitted to graphs of 115,659 × 384, 390,000 × 50
/// and 1,000,000 × 128, of which a walk waits for memory and a scan is told ahead what it will read.
struct SearchCosts {
    private static let cacheLine = 64
    /// Distances that a walk computes for each candidate that it keeps in sight: about half of the
    /// lists of 2 M edges.
    private static let distancesPerCandidate = 15.0
    /// It takes as long as so many candidates more to get near.
    private static let approach = 45.0
    private static let detour = 45.0
    /// To compare again what a scan keeps, which lies anywhere; of walks few are, and part of the approach.
    private static let refinement = 170.0
    /// Of codes that are fewer bytes in all, what is compared again is in the caches too.
    private static let cachedBytes = 1 << 20
    private static let isa = VectorKernels.isa

    /// How many times as long codes that lie in order take without the instruction that multiplies and
    /// adds 64 of them; without any of its kind a processor compares one after the other.
    private static func slowness(_ isa: String) -> Double {
        switch isa {
        case "avx512": 1
        case "neon-dotprod": 2
        case "avx2", "neon": 4
        default: 150
        }
    }

    let degree: Int
    private let walked: Double
    private let scanned: Double
    /// To gather a row, and to compare it with each query then.
    private let gathered: Double
    private let compared: Double
    private let rowBytes: Int

    init(degree: Int, rowBytes: Int, dimensions: Int, hasCodes: Bool, isa: String = isa) {
        let lines = Double((rowBytes + Self.cacheLine - 1) / Self.cacheLine)
        self.degree = degree
        self.rowBytes = rowBytes
        walked = 9 + 0.7 * lines
        scanned = 5 + 2.8 * lines
        gathered = hasCodes ? 20 + 15 * lines : .infinity
        // Half a byte is one product, as a byte is.
        compared = hasCodes ? (0.1 + Double(dimensions) / 320) * Self.slowness(isa) : .infinity
    }

    /// For each of `queries` that are searched for together, where `allowed` vectors may be returned.
    func of(_ plan: SearchPlan, _ allowed: Int, _ queries: Int) -> Double {
        switch plan {
        case .exact: Double(allowed) * scanned
        case .scan(let refined): Double(allowed) * scanned + refining(refined, of: allowed)
        case .sharedScan(let refined):
            Double(allowed) * (compared + gathered / Double(max(queries, 1)))
                + refining(refined, of: allowed)
        case .walk(let ef, _, let detours):
            (Double(ef) + Self.approach) * Self.distancesPerCandidate * walked
                + Double(ef * detours) * Self.detour
        }
    }

    private func refining(_ refined: Int, of allowed: Int) -> Double {
        let uncached = min(1, Double(allowed) * Double(rowBytes) / Double(Self.cachedBytes))
        return Double(refined) * Self.refinement * uncached
    }
}
