/// How two causal histories stand to each other.
public enum CausalOrder: Sendable, Hashable {
    /// The same events.
    case equal
    /// All events of the first are in the second, which has more.
    case before
    /// All events of the second are in the first, which has more.
    case after
    /// Each has an event that the other lacks: neither writer knew of the other.
    case concurrent
}
