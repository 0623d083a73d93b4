/// How near to the truth the results of a search have to be.
public enum SearchAccuracy: Sendable, Hashable {
    /// All vectors are compared.
    case exact
    /// The ef of HNSW: how many near vectors a walk keeps in sight. More find better and take longer.
    case effort(Int)
    /// The share of the true neighbours that is to be found, above 0 and up to 1. The effort for it was
    /// measured when the index was built (``RecallCalibration``); what could not be promised is searched
    /// exactly.
    ///
    /// **What is promised** is an average over many queries without a filter: a single one may find fewer.
    /// Queries that are distributed as the vectors of the index are find it or more, give or take a hundredth
    /// for what a sample cannot tell. Queries unlike them, as those of another part of the same source or
    /// about other things than the vectors, find somewhat less. Nothing is promised of queries far outside
    /// of all that the index has, nor under a filter that goes with the query: who has such queries measures
    /// them against ``exact``, and takes an ``effort(_:)`` or a higher recall.
    case recall(Double)

    /// The efforts that a search may ask for.
    public static let effortRange = 1...1_000_000

    /// For how many results a search compares vectors again: with a recall for no fewer than it was measured
    /// with.
    func measuredLimit(_ limit: Int) -> Int {
        switch self {
        case .exact, .effort: limit
        case .recall: max(limit, RecallCalibration.neighbors)
        }
    }

    /// Throws ``VectorError/Code/invalidEffort`` where a number is out of its range.
    public func validate() throws(VectorError) {
        switch self {
        case .exact: break
        case .effort(let ef):
            guard Self.effortRange.contains(ef) else {
                throw VectorError(
                    .invalidEffort,
                    "expected \(Self.effortRange.lowerBound) to \(Self.effortRange.upperBound), "
                        + "found \(ef)")
            }
        case .recall(let recall):
            guard recall > 0, recall <= 1 else {
                throw VectorError(
                    .invalidEffort, "expected a recall above 0 and up to 1, found \(recall)")
            }
        }
    }
}
