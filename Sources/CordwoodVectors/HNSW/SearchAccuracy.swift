/// How near to the truth the results of a search have to be.
public enum SearchAccuracy: Sendable, Hashable {
    /// All vectors are compared.
    case exact
    /// The ef of HNSW: how many near vectors a walk keeps in sight. More find better and take longer.
    case effort(Int)
    /// The share of the true neighbours that is to be found on average, above 0 and up to 1. The effort
    /// for it was measured when the index was built (``RecallCalibration``); what could not be promised
    /// is searched exactly.
    case recall(Double)

    /// The efforts that a search may ask for.
    public static let effortRange = 1...1_000_000

    /// Throws ``VectorError/Code/invalidEffort`` for an effort that is not in ``effortRange``, and for a
    /// recall that is not above 0 and up to 1.
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
