/// The name of one event: the `counter`-th of an actor, counted from 1.
public struct Dot: Hashable, Sendable {
    public let actor: ActorID
    public let counter: UInt64

    public init(actor: ActorID, counter: UInt64) {
        self.actor = actor
        self.counter = counter
    }
}

extension Dot: Comparable {
    /// By actor, then by counter: an order for listings that says nothing of causes.
    public static func < (a: Dot, b: Dot) -> Bool { (a.actor, a.counter) < (b.actor, b.counter) }
}

extension Dot: CustomStringConvertible {
    public var description: String { "\(actor):\(counter)" }
}
