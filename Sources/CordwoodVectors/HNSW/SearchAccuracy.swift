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
}
