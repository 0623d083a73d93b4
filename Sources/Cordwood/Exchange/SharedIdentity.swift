import CordwoodCausality

/// What a database is in a shared topic: the value of the record of the key without bytes. Layout in
/// `docs/file-formats.md`, "Shared topic".
struct SharedIdentity: Sendable, Equatable {
    private static let version: UInt8 = 1

    var actor: ActorID
    var seen: VersionVector

    func encoded() -> [UInt8] {
        [Self.version, UInt8(actor.bytes.count)] + actor.bytes + seen.encoded()
    }

    init(actor: ActorID, seen: VersionVector) {
        self.actor = actor
        self.seen = seen
    }

    init(decoding bytes: [UInt8]) throws(CausalityError) {
        guard bytes.count >= 2, bytes[0] == Self.version else {
            throw CausalityError(
                .unknownFormat,
                "identity: expected version \(Self.version), found "
                    + (bytes.first.map { "\($0)" } ?? "nothing"))
        }
        let end = 2 + Int(bytes[1])
        guard end <= bytes.count else {
            throw CausalityError(
                .truncated, "identity: expected \(end) bytes, found \(bytes.count)")
        }
        actor = try ActorID(bytes[2..<end])
        seen = try VersionVector(decoding: Array(bytes[end...]), limits: SharedRegister.limits)
    }
}
