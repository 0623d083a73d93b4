/// The values of one key that no writer has replaced yet (*siblings*), with all events that led to
/// them.
///
/// A value that a writer had seen is replaced by what it writes; values of writers that did not know of
/// each other stay side by side. There are never more siblings than writes that were concurrent, and
/// the bookkeeping is one entry an actor, however many clients write through it.
///
/// Each replica is an actor, in whose name it counts the writes that it takes. A client reads
/// ``values`` together with ``context``, and hands the context back with what it writes:
/// ``update(_:context:at:)``. Replicas exchange whole sets by ``sync(_:)``, which is associative,
/// commutative and idempotent: delivered in any order and any number of times, replicas that have seen
/// the same sets are equal, byte for byte.
///
/// Almeida, Baquero, Gonçalves, Preguiça and Fonte, "Scalable and Accurate Causality Tracking for
/// Eventually Consistent Stores" (2014), in its compact form (DVVSet). One difference: the published
/// set may carry values that no replica has counted yet, of which `sync` then keeps or drops some by the
/// order of its calls. Here such a value is not in the set; it is the argument of `update`.
public struct DottedVersionVectorSet<Value> {
    /// An actor's events 1...counter; the values of the newest ones that are not replaced.
    struct Entry {
        var actor: ActorID
        var counter: UInt64
        /// Newest first: the value at `i` is that of event `counter - i`. Never more than `counter`.
        var values: [Value]
    }

    /// Sorted by actor; each has a counter above 0.
    var entries: [Entry] = []

    /// A key that was never written.
    public init() {}

    /// A key whose events are `context` and whose values are all gone: what a delete leaves.
    /// O(actors).
    public init(context: VersionVector) {
        entries = context.entries.map {
            Entry(actor: $0.actor, counter: $0.counter, values: [])
        }
    }

    /// A value that nothing has replaced, and the event that wrote it.
    public struct Sibling {
        public let dot: Dot
        public let value: Value
    }

    /// The values that nothing has replaced, with their events: by actor, newest first. O(actors +
    /// values).
    public var siblings: [Sibling] {
        entries.flatMap { entry in
            entry.values.enumerated().map { index, value in
                Sibling(
                    dot: Dot(actor: entry.actor, counter: entry.counter - UInt64(index)),
                    value: value)
            }
        }
    }

    /// The values that nothing has replaced, in the order of ``siblings``. O(actors + values).
    public var values: [Value] { entries.flatMap(\.values) }

    /// How many values there are. O(actors).
    public var count: Int { entries.reduce(0) { $0 + $1.values.count } }

    /// All events that this set knows of (the paper's *join*): what a client hands back when it writes.
    /// O(actors).
    public var context: VersionVector {
        var context = VersionVector()
        for entry in entries { context.append(entry.actor, entry.counter) }
        return context
    }

    /// Whether `other` knows of all events here and of more. O(actors of both).
    public func isLess(than other: Self) -> Bool {
        context.compare(other.context) == .before
    }

    /// The same events with other values. O(actors + values).
    public func mapValues<Result, Failure: Error>(
        _ transform: (Value) throws(Failure) -> Result
    ) throws(Failure) -> DottedVersionVectorSet<Result> {
        var result = DottedVersionVectorSet<Result>()
        for entry in entries {
            var values: [Result] = []
            for value in entry.values { values.append(try transform(value)) }
            result.entries.append(.init(actor: entry.actor, counter: entry.counter, values: values))
        }
        return result
    }
}

extension DottedVersionVectorSet.Entry: Sendable where Value: Sendable {}
extension DottedVersionVectorSet.Entry: Equatable where Value: Equatable {}
extension DottedVersionVectorSet.Entry: Hashable where Value: Hashable {}
extension DottedVersionVectorSet.Sibling: Sendable where Value: Sendable {}
extension DottedVersionVectorSet.Sibling: Equatable where Value: Equatable {}
extension DottedVersionVectorSet: Sendable where Value: Sendable {}
extension DottedVersionVectorSet: Equatable where Value: Equatable {}
extension DottedVersionVectorSet: Hashable where Value: Hashable {}
