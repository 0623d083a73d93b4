extension DottedVersionVectorSet where Value == [UInt8] {
    /// The compact form (`docs/file-formats.md`); equal sets have equal bytes. O(bytes). For values of
    /// another type see ``mapValues(_:)``.
    public func encoded() -> [UInt8] {
        var writer = EncodedWriter(.dottedVersionVectorSet)
        writer.varint(UInt64(entries.count))
        for entry in entries {
            writer.actor(entry.actor)
            writer.varint(entry.counter)
            writer.varint(UInt64(entry.values.count))
            for value in entry.values { writer.value(value) }
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
        var reader = try EncodedReader(bytes, .dottedVersionVectorSet)
        // A length, a byte of an id, a counter and a number of values.
        let count = try reader.count(
            of: "actors", leastBytes: 4, atMost: limits.actors, .tooManyActors)
        var valuesLeft = limits.values
        for _ in 0..<count {
            let actor = try reader.actor(after: entries.last?.actor)
            let counter = try reader.counter(of: actor)
            let valueCount = try reader.count(
                of: "values", leastBytes: 1, atMost: valuesLeft, .tooManyValues)
            try Self.check(valueCount: valueCount, counter, actor)
            valuesLeft -= valueCount
            var values: [[UInt8]] = []
            for _ in 0..<valueCount {
                let length = try reader.varint("a value's length")
                values.append(try reader.bytes(Int(clamping: length), "a value"))
            }
            entries.append(Entry(actor: actor, counter: counter, values: values))
        }
        try reader.finish()
    }
}

extension DottedVersionVectorSet {
    static func check(
        valueCount: Int, _ counter: UInt64, _ actor: ActorID
    ) throws(CausalityError) {
        guard UInt64(valueCount) <= counter else {
            throw CausalityError(
                .malformed,
                "expected at most \(counter) values, one an event of actor \(actor), found "
                    + "\(valueCount)")
        }
    }
}
