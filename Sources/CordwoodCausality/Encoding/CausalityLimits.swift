/// What a reader of encoded causal values takes; more is refused by name.
public struct CausalityLimits: Sendable, Hashable {
    /// Actors of one vector or set.
    public var actors: Int
    /// Values of one set.
    public var values: Int

    public init(actors: Int = 65_536, values: Int = 65_536) {
        self.actors = max(0, actors)
        self.values = max(0, values)
    }
}
