extension MultiValueRegister where Value == [UInt8] {
    /// The compact form (`docs/file-formats.md`); equal registers have equal bytes. O(bytes). For
    /// values of another type see ``mapValues(_:)``.
    public func encoded() -> [UInt8] {
        var writer = EncodedWriter(.multiValueRegister)
        let actors = context.entries
        writer.varint(UInt64(actors.count))
        for entry in actors {
            writer.actor(entry.actor)
            writer.varint(entry.counter)
        }
        writer.varint(UInt64(siblings.count))
        var place = 0
        for sibling in siblings {
            // Both are sorted by actor, and every sibling's actor is in the context.
            while actors[place].actor < sibling.dot.actor { place += 1 }
            writer.varint(UInt64(place))
            writer.varint(sibling.dot.counter)
            writer.value(sibling.value)
        }
        return writer.bytes
    }

    /// Reads what ``encoded()`` wrote. O(bytes), and allocates no more than a multiple of that.
    ///
    /// - Throws: ``CausalityError`` with ``CausalityError/Code/unknownFormat``, `truncated`,
    ///   `trailingBytes`, `malformed`, `invalidActor`, `duplicateActor`, `unsortedActors`,
    ///   `tooManyActors` or `tooManyValues`.
    public init(
        decoding bytes: [UInt8], limits: CausalityLimits = CausalityLimits()
    ) throws(CausalityError) {
        var reader = try EncodedReader(bytes, .multiValueRegister)
        // A length, a byte of an id and a counter.
        let actorCount = try reader.count(
            of: "actors", leastBytes: 3, atMost: limits.actors, .tooManyActors)
        var actors: [Dot] = []
        var context = VersionVector()
        for _ in 0..<actorCount {
            let actor = try reader.actor(after: actors.last?.actor)
            let counter = try reader.counter(of: actor)
            actors.append(Dot(actor: actor, counter: counter))
            context.append(actor, counter)
        }
        // A place, a counter and a length.
        let count = try reader.count(
            of: "siblings", leastBytes: 3, atMost: limits.values, .tooManyValues)
        var siblings: [Sibling] = []
        var last: (place: UInt64, counter: UInt64)?
        for _ in 0..<count {
            let place = try reader.varint("an actor's place")
            let counter = try reader.varint("a sibling's counter")
            guard place < UInt64(actors.count),
                (1...actors[Int(place)].counter).contains(counter),
                last.map({ $0 < (place, counter) }) ?? true
            else {
                throw CausalityError(
                    .malformed,
                    "multi-value register: expected siblings in rising order, each an event of the "
                        + "context, found event \(counter) of the actor at \(place)")
            }
            last = (place, counter)
            let length = try reader.varint("a value's length")
            let value = try reader.bytes(Int(clamping: length), "a value")
            siblings.append(
                Sibling(
                    dot: Dot(actor: actors[Int(place)].actor, counter: counter), value: value))
        }
        try reader.finish()
        self.init(context: context, siblings: siblings)
    }
}
