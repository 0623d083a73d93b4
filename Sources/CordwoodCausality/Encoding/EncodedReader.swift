/// Reads encoded causal values from bytes that nobody vouches for: every count is held against a cap
/// and against the bytes that remain before anything is allocated.
struct EncodedReader {
    private let bytes: [UInt8]
    private var position = 0
    /// What is read, for messages.
    private let name: String

    /// Reads the head: kind and version.
    init(_ bytes: [UInt8], _ kind: EncodedKind) throws(CausalityError) {
        self.bytes = bytes
        name = kind.name
        let found = try byte("kind")
        guard found == kind.rawValue else {
            throw CausalityError(
                .unknownFormat, "\(name): expected kind \(kind.rawValue), found \(found)")
        }
        let version = try byte("version")
        guard version == EncodedKind.version else {
            throw CausalityError(
                .unknownFormat,
                "\(name): expected version \(EncodedKind.version), found \(version)")
        }
    }

    var remaining: Int { bytes.count - position }

    mutating func byte(_ what: String) throws(CausalityError) -> UInt8 {
        try bytes(1, what)[0]
    }

    mutating func bytes(_ count: Int, _ what: String) throws(CausalityError) -> [UInt8] {
        guard count <= remaining else {
            throw CausalityError(
                .truncated,
                "\(name): expected \(count) bytes of \(what) at \(position), found \(remaining)")
        }
        defer { position += count }
        return Array(bytes[position..<position + count])
    }

    /// A number of seven bits a byte, low bits first, in as few bytes as it can have.
    mutating func varint(_ what: String) throws(CausalityError) -> UInt64 {
        var value: UInt64 = 0
        // At most ten bytes.
        for shift in stride(from: UInt64(0), through: 63, by: 7) {
            let next = try byte(what)
            if shift == 63 && next > 1 || shift > 0 && next == 0 {
                throw CausalityError(
                    .malformed,
                    "\(name): expected the shortest form of \(what) in 64 bits before \(position)")
            }
            value |= UInt64(next & 0x7F) << shift
            if next & 0x80 == 0 { return value }
        }
        throw CausalityError(
            .malformed, "\(name): expected \(what) in at most 10 bytes before \(position)")
    }

    /// A number of things that take at least `leastBytes` each.
    mutating func count(
        of what: String, leastBytes: Int, atMost cap: Int, _ tooMany: CausalityError.Code
    ) throws(CausalityError) -> Int {
        let count = try varint("the number of \(what)")
        guard count <= UInt64(cap) else {
            throw CausalityError(
                tooMany, "\(name): expected at most \(cap) \(what), found \(count)")
        }
        guard count <= UInt64(remaining / leastBytes) else {
            throw CausalityError(
                .truncated,
                "\(name): \(count) \(what) take at least \(leastBytes) bytes each, found "
                    + "\(remaining)")
        }
        return Int(count)
    }

    /// An actor, which must come behind `last`.
    mutating func actor(after last: ActorID?) throws(CausalityError) -> ActorID {
        let actor = try ActorID(bytes(Int(byte("an actor's length")), "an actor"))
        if let last, actor <= last { throw CausalityError.order(name, last, actor) }
        return actor
    }

    /// A number of events, which is not 0.
    mutating func counter(of actor: ActorID) throws(CausalityError) -> UInt64 {
        let counter = try varint("a counter")
        guard counter > 0 else {
            throw CausalityError(
                .malformed, "\(name): expected a counter above 0 of actor \(actor), found 0")
        }
        return counter
    }

    func finish() throws(CausalityError) {
        guard remaining == 0 else {
            throw CausalityError(
                .trailingBytes, "\(name): expected \(position) bytes, found \(bytes.count)")
        }
    }
}

extension CausalityError {
    /// Two actors of which the second should come behind the first and does not.
    static func order(_ name: String, _ last: ActorID, _ actor: ActorID) -> CausalityError {
        actor == last
            ? CausalityError(.duplicateActor, "\(name): actor \(actor) comes twice")
            : CausalityError(
                .unsortedActors, "\(name): expected an actor behind \(last), found \(actor)")
    }
}
