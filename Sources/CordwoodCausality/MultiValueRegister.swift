/// The values of one key that no writer has replaced yet (*siblings*), where one vector counts the
/// events of many keys.
///
/// ``DottedVersionVectorSet`` counts the events of its key alone, which is most compact. Here an
/// actor's numbers run through all of its keys, and a register has those that fell to its key, with
/// gaps: so that one ``VersionVector`` says which events of all keys a replica has seen.
///
/// The context covers an event by its actor's number: it states all events *of this key* up to it. That
/// is true where registers travel whole, since an actor that writes a key has its earlier events of
/// that key in the register.
///
/// ``merge(_:)`` is associative, commutative and idempotent. This is the multi-value register with a
/// causal context of Almeida, Shoker and Baquero, "Delta State Replicated Data Types" (2018).
public struct MultiValueRegister<Value> {
    /// A value that nothing has replaced, and the event that wrote it.
    public struct Sibling {
        public let dot: Dot
        public var value: Value
    }

    /// All events that this register knows of: what a client hands back when it writes.
    public private(set) var context = VersionVector()
    /// Sorted by dot; every dot is in the context.
    public private(set) var siblings: [Sibling] = []

    /// A key that was never written.
    public init() {}

    init(context: VersionVector, siblings: [Sibling]) {
        self.context = context
        self.siblings = siblings
    }

    /// Adds the value of a new event and drops the siblings that its writer had seen. O(actors +
    /// siblings).
    ///
    /// - Parameters:
    ///   - dot: a number of its actor that no event of any key had.
    ///   - seen: the ``context`` that came with what the writer read.
    /// - Throws: ``CausalityError/Code/eventOutOfOrder`` for an event that the register or the writer
    ///   knows already, and ``CausalityError/Code/malformed`` for the number 0.
    public mutating func write(
        _ value: Value, at dot: Dot, replacing seen: VersionVector
    ) throws(CausalityError) {
        guard dot.counter > 0 else {
            throw CausalityError(.malformed, "expected an event above 0 of \(dot.actor), found 0")
        }
        guard !context.contains(dot), !seen.contains(dot) else {
            throw CausalityError(
                .eventOutOfOrder,
                "expected an event of \(dot.actor) after \(max(context[dot.actor], seen[dot.actor]))"
                    + ", found \(dot.counter)")
        }
        siblings.removeAll { seen.contains($0.dot) }
        siblings.insert(
            Sibling(dot: dot, value: value),
            at: siblings.firstIndex { $0.dot > dot } ?? siblings.count)
        context.merge(seen)
        context.raise(dot.actor, to: dot.counter)
    }

    /// Adds what `other` knows: a sibling stays where both have it, or where one has it and the other
    /// does not know of it. Where both have it the value is that of this register. O((actors +
    /// siblings) of both).
    public mutating func merge(_ other: Self) {
        var result: [Sibling] = []
        var mine = siblings[...]
        var theirs = other.siblings[...]
        // Each round takes a sibling of one of the two.
        while !mine.isEmpty || !theirs.isEmpty {
            let a = mine.first
            let b = theirs.first
            if let a, let b, a.dot == b.dot {
                result.append(a)
                mine.removeFirst()
                theirs.removeFirst()
            } else if let a, b.map({ a.dot < $0.dot }) ?? true {
                if !other.context.contains(a.dot) { result.append(a) }
                mine.removeFirst()
            } else if let b {
                if !context.contains(b.dot) { result.append(b) }
                theirs.removeFirst()
            }
        }
        siblings = result
        context.merge(other.context)
    }

    /// The same events with other values. O(actors + siblings).
    public func mapValues<Result, Failure: Error>(
        _ transform: (Value) throws(Failure) -> Result
    ) throws(Failure) -> MultiValueRegister<Result> {
        var mapped: [MultiValueRegister<Result>.Sibling] = []
        mapped.reserveCapacity(siblings.count)
        for sibling in siblings {
            mapped.append(.init(dot: sibling.dot, value: try transform(sibling.value)))
        }
        return MultiValueRegister<Result>(context: context, siblings: mapped)
    }
}

extension MultiValueRegister.Sibling: Sendable where Value: Sendable {}
extension MultiValueRegister.Sibling: Equatable where Value: Equatable {}
extension MultiValueRegister.Sibling: Hashable where Value: Hashable {}
extension MultiValueRegister: Sendable where Value: Sendable {}
extension MultiValueRegister: Equatable where Value: Equatable {}
extension MultiValueRegister: Hashable where Value: Hashable {}
