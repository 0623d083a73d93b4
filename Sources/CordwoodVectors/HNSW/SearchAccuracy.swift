/// How near to the truth the results of a search have to be.
public enum SearchAccuracy: Sendable, Hashable {
    /// All vectors are compared.
    case exact
    /// The ef of HNSW: how many near vectors a walk keeps in sight. More find better and take longer.
    case effort(Int)
}
