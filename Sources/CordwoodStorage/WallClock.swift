/// The time of day, injected so that tests and simulations can set it.
public protocol WallClock: Sendable {
    /// Milliseconds since 1970-01-01 00:00 UTC. May jump in either direction.
    func millisecondsNow() -> Int64
}
