extension VersionVector {
    /// The compact form (`docs/file-formats.md`); equal vectors have equal bytes. O(actors).
    public func encoded() -> [UInt8] {
        var writer = EncodedWriter(.versionVector)
        let entries = entries
        writer.varint(UInt64(entries.count))
        for entry in entries {
            writer.actor(entry.actor)
            writer.varint(entry.counter)
        }
        return writer.bytes
    }

    /// Reads what ``encoded()`` wrote. O(bytes), and allocates no more than that.
    ///
    /// - Throws: ``CausalityError`` with ``CausalityError/Code/unknownFormat``, `truncated`,
    ///   `trailingBytes`, `malformed`, `invalidActor`, `duplicateActor`, `unsortedActors` or
    ///   `tooManyActors`.
    public init(
        decoding bytes: [UInt8], limits: CausalityLimits = CausalityLimits()
    ) throws(CausalityError) {
        var reader = try EncodedReader(bytes, .versionVector)
        // A length, a byte of an id and a counter.
        let count = try reader.count(
            of: "actors", leastBytes: 3, atMost: limits.actors, .tooManyActors)
        var last: ActorID?
        for _ in 0..<count {
            let actor = try reader.actor(after: last)
            append(actor, try reader.counter(of: actor))
            last = actor
        }
        try reader.finish()
    }
}
