/// About how long the parts of a search take, in nanoseconds; measured on graphs much larger than the
/// caches, where a walk waits for memory and a scan is told ahead what it will read.
struct SearchCosts {
    private static let cacheLine = 64
    /// Distances that a walk computes for each candidate that it keeps in sight: about half of the
    /// lists of 2 M edges.
    private static let distancesPerCandidate = 15.0
    /// It takes as long as so many candidates more to get near.
    private static let approach = 20.0
    private static let detour = 50.0
    private static let isa = VectorKernels.isa

    /// How many times as long codes that lie in order take without the instruction that multiplies and
    /// adds 64 of them; without any of its kind a processor compares one after the other.
    private static func slowness(_ isa: String) -> Double {
        switch isa {
        case "avx512": 1
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

    init(degree: Int, rowBytes: Int, hasCodes: Bool, isa: String = isa) {
        let lines = Double((rowBytes + Self.cacheLine - 1) / Self.cacheLine)
        self.degree = degree
        walked = 18 + 1.5 * lines
        scanned = 5 + 2.8 * lines
        gathered = hasCodes ? 20 + 15 * lines : .infinity
        compared = hasCodes ? (0.1 + Double(rowBytes) / 320) * Self.slowness(isa) : .infinity
    }

    /// For each of `queries` that are searched for together, where `allowed` vectors may be returned.
    func of(_ plan: SearchPlan, _ allowed: Int, _ queries: Int) -> Double {
        switch plan {
        case .exact, .scan: Double(allowed) * scanned
        case .sharedScan: Double(allowed) * (compared + gathered / Double(max(queries, 1)))
        case .walk(let ef, _, let detours):
            (Double(ef) + Self.approach)
                * (Double(detours) * Self.detour + Self.distancesPerCandidate * walked)
        }
    }
}
