extension DottedVersionVectorSet {
    /// Takes a client's write in the name of `actor`: drops the values that the client had seen and adds
    /// `value`, with the rest as siblings. Returns the event's dot. O(actors + values).
    ///
    /// - Parameter context: the ``context`` that came with what the client read; empty where it had
    ///   read nothing, so that nothing is replaced.
    /// - Throws: ``CausalityError/Code/counterOverflow`` after 2^64 - 1 events of the actor.
    @discardableResult
    public mutating func update(
        _ value: Value, context: VersionVector, at actor: ActorID
    ) throws(CausalityError) -> Dot {
        var known = self.context.merging(context)
        let dot = try known.increment(actor)
        discard(context)
        // The actor's entry now has all events but the new one; or there is none, and no event.
        if let place = entries.firstIndex(where: { $0.actor >= actor }) {
            if entries[place].actor == actor {
                entries[place].counter = dot.counter
                entries[place].values.insert(value, at: 0)
            } else {
                entries.insert(
                    Entry(actor: actor, counter: dot.counter, values: [value]), at: place)
            }
        } else {
            entries.append(Entry(actor: actor, counter: dot.counter, values: [value]))
        }
        return dot
    }

    /// Drops the values that a client had seen, in exchange for none: a delete. Values that it had not
    /// seen stay. O(actors + values).
    public mutating func discard(_ context: VersionVector) {
        sync(Self(context: context))
    }

    /// Adds what `other` knows: events of either, and the values that neither has replaced. Associative,
    /// commutative and idempotent. O(actors of both + values).
    public mutating func sync(_ other: Self) {
        var result: [Entry] = []
        result.reserveCapacity(max(entries.count, other.entries.count))
        var mine = entries[...]
        var theirs = other.entries[...]
        // Each round takes an entry from one of the two.
        while let a = mine.first, let b = theirs.first {
            if a.actor == b.actor {
                result.append(Self.sync(a, b))
                mine.removeFirst()
                theirs.removeFirst()
            } else if a.actor < b.actor {
                result.append(mine.removeFirst())
            } else {
                result.append(theirs.removeFirst())
            }
        }
        entries = result + mine + theirs
    }

    /// This set synced with `other`.
    public func synced(with other: Self) -> Self {
        var result = self
        result.sync(other)
        return result
    }

    /// Replaces all siblings by the one that `resolve` makes of them, as a new event of `actor`. Does
    /// nothing, and returns nil, where there are fewer than two. O(actors + values).
    ///
    /// - Parameter resolve: gets the values in the order of ``values``, which is the same at every
    ///   replica that knows the same events.
    /// - Throws: ``CausalityError/Code/counterOverflow`` after 2^64 - 1 events of the actor.
    @discardableResult
    public mutating func reconcile(
        at actor: ActorID, _ resolve: ([Value]) -> Value
    ) throws(CausalityError) -> Dot? {
        let values = values
        guard values.count > 1 else { return nil }
        return try update(resolve(values), context: context, at: actor)
    }

    /// One actor's events as two sets know them. Each has values for its newest events down to some
    /// event: older ones were replaced. What either has replaced stays so.
    private static func sync(_ a: Entry, _ b: Entry) -> Entry {
        let (newer, older) = a.counter >= b.counter ? (a, b) : (b, a)
        let replaced = max(
            newer.counter - UInt64(newer.values.count), older.counter - UInt64(older.values.count))
        let kept = Int(clamping: newer.counter - min(replaced, newer.counter))
        return Entry(
            actor: newer.actor, counter: newer.counter, values: Array(newer.values.prefix(kept)))
    }
}
