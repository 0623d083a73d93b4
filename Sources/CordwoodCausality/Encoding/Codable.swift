// The JSON form (`docs/file-formats.md`), by `Codable`, so that it needs no parser of our own. Counters
// are decimal strings, since JavaScript's numbers end at 2^53.

/// Bytes in JSON: a text where they are one that can be printed, hexadecimal digits otherwise.
private struct BytesKeys {
    let text: Key
    let hexadecimal: Key

    static let actor = BytesKeys(text: .actor, hexadecimal: .actorHex)
    static let value = BytesKeys(text: .value, hexadecimal: .valueHex)

    func write(_ bytes: [UInt8], to fields: inout KeyedEncodingContainer<Key>) throws {
        if let name = Text.printable(bytes) {
            try fields.encode(name, forKey: text)
        } else {
            try fields.encode(Text.hexadecimal(bytes), forKey: hexadecimal)
        }
    }

    func read(from fields: KeyedDecodingContainer<Key>) throws -> [UInt8] {
        if let name = try fields.decodeIfPresent(String.self, forKey: text) {
            return Array(name.utf8)
        }
        let digits = try fields.decode(String.self, forKey: hexadecimal)
        guard let bytes = Text.bytes(hexadecimal: digits) else {
            throw CausalityError(
                .malformed, "\(hexadecimal.rawValue): expected pairs of digits 0-9 a-f")
        }
        return bytes
    }
}

private enum Key: String, CodingKey {
    case version, entries, actor, actorHex, counter, values, value, valueHex
}

extension KeyedEncodingContainer<Key> {
    fileprivate mutating func writeEntry(_ actor: ActorID, _ counter: UInt64) throws {
        try BytesKeys.actor.write(actor.bytes, to: &self)
        try encode(String(counter), forKey: .counter)
    }
}

extension KeyedDecodingContainer<Key> {
    /// The entries of a vector or set of this version, each handed to `body` with its dot.
    fileprivate func readEntries(
        _ name: String, _ body: (Self, Dot) throws -> Void
    ) throws {
        let version = try decode(Int.self, forKey: .version)
        guard version == EncodedKind.version else {
            throw CausalityError(
                .unknownFormat,
                "\(name): expected version \(EncodedKind.version), found \(version)")
        }
        let cap = CausalityLimits().actors
        var list = try nestedUnkeyedContainer(forKey: .entries)
        var last: ActorID?
        while !list.isAtEnd {
            guard list.currentIndex < cap else {
                throw CausalityError(.tooManyActors, "\(name): expected at most \(cap) actors")
            }
            let fields = try list.nestedContainer(keyedBy: Key.self)
            let actor = try ActorID(BytesKeys.actor.read(from: fields))
            if let last, actor <= last { throw CausalityError.order(name, last, actor) }
            last = actor
            let digits = try fields.decode(String.self, forKey: .counter)
            guard let counter = UInt64(digits), counter > 0, String(counter) == digits else {
                throw CausalityError(
                    .malformed,
                    "\(name): expected a counter above 0 in 64 bits, in digits, of actor \(actor)")
            }
            try body(fields, Dot(actor: actor, counter: counter))
        }
    }
}

extension VersionVector: Codable {
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: Key.self)
        try fields.encode(EncodedKind.version, forKey: .version)
        var list = fields.nestedUnkeyedContainer(forKey: .entries)
        for entry in entries {
            var fields = list.nestedContainer(keyedBy: Key.self)
            try fields.writeEntry(entry.actor, entry.counter)
        }
    }

    /// - Throws: ``CausalityError`` as ``init(decoding:limits:)`` does, with its default limits, or the
    ///   decoder's own error for another structure.
    public init(from decoder: any Decoder) throws {
        try decoder.container(keyedBy: Key.self)
            .readEntries(EncodedKind.versionVector.name) { append($1.actor, $1.counter) }
    }
}

extension DottedVersionVectorSet: Codable where Value == [UInt8] {
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: Key.self)
        try fields.encode(EncodedKind.version, forKey: .version)
        var list = fields.nestedUnkeyedContainer(forKey: .entries)
        for entry in entries {
            var fields = list.nestedContainer(keyedBy: Key.self)
            try fields.writeEntry(entry.actor, entry.counter)
            var values = fields.nestedUnkeyedContainer(forKey: .values)
            for value in entry.values {
                var fields = values.nestedContainer(keyedBy: Key.self)
                try BytesKeys.value.write(value, to: &fields)
            }
        }
    }

    /// - Throws: ``CausalityError`` as ``init(decoding:limits:)`` does, with its default limits, or the
    ///   decoder's own error for another structure.
    public init(from decoder: any Decoder) throws {
        let cap = CausalityLimits().values
        var valueCount = 0
        try decoder.container(keyedBy: Key.self)
            .readEntries(EncodedKind.dottedVersionVectorSet.name) { fields, dot in
                var list = try fields.nestedUnkeyedContainer(forKey: .values)
                var values: [[UInt8]] = []
                while !list.isAtEnd {
                    valueCount += 1
                    guard valueCount <= cap else {
                        throw CausalityError(.tooManyValues, "expected at most \(cap) values")
                    }
                    let value = try list.nestedContainer(keyedBy: Key.self)
                    values.append(try BytesKeys.value.read(from: value))
                }
                try Self.check(valueCount: values.count, dot.counter, dot.actor)
                entries.append(Entry(actor: dot.actor, counter: dot.counter, values: values))
            }
    }
}

extension HybridTimestamp: Codable {
    /// Its 64 bits as a decimal string.
    public func encode(to encoder: any Encoder) throws {
        var field = encoder.singleValueContainer()
        try field.encode(String(rawValue))
    }

    /// - Throws: ``CausalityError/Code/malformed`` for anything but a number of 64 bits in digits.
    public init(from decoder: any Decoder) throws {
        let digits = try decoder.singleValueContainer().decode(String.self)
        guard let rawValue = UInt64(digits), String(rawValue) == digits else {
            throw CausalityError(.malformed, "timestamp: expected 64 bits in decimal digits")
        }
        self.init(rawValue: rawValue)
    }
}
