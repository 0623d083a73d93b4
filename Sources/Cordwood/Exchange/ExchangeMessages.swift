import CordwoodCausality
import CordwoodStorage

/// *What do you have that I lack?* One database's question to another about a ``SharedTopic``.
public struct ExchangeRequest: Sendable, Hashable {
    static let kind: UInt8 = 0x3F

    /// The topic's name.
    public let topic: String
    let actor: ActorID
    let position: ExchangePosition
    /// About how many bytes the answer may have.
    let maximumBytes: Int
    let seen: VersionVector

    init(
        topic: String, actor: ActorID, position: ExchangePosition, maximumBytes: Int,
        seen: VersionVector
    ) {
        self.topic = topic
        self.actor = actor
        self.position = position
        self.maximumBytes = maximumBytes
        self.seen = seen
    }

    /// For a network. Layout in `docs/file-formats.md`, "Shared topic".
    public func encoded() -> [UInt8] {
        var writer = StateWriter()
        writer.head(Self.kind, topic, actor)
        writer.position(position)
        writer.number(UInt32(maximumBytes))
        writer.block(seen.encoded())
        return writer.bytes
    }

    /// Throws ``DatabaseError/Code/malformedMessage``, and ``DatabaseError/Code/newerFormat`` for a
    /// version that is not known.
    public init(decoding bytes: [UInt8]) throws(DatabaseError) {
        self = try ExchangeMessage.decode(bytes, Self.kind, "request") {
            reader, topic, actor throws(CausalityError) in
            guard let position = reader.position(), let maximumBytes = reader.number(UInt32.self),
                maximumBytes > 0, let seen = reader.block(), reader.remaining == 0
            else { return nil }
            return ExchangeRequest(
                topic: topic, actor: actor, position: position, maximumBytes: Int(maximumBytes),
                seen: try VersionVector(decoding: seen, limits: SharedRegister.limits))
        }
    }
}

/// *These are missing.* The answer to an ``ExchangeRequest``: some states of keys.
public struct ExchangeReply: Sendable, Hashable {
    static let kind: UInt8 = 0x21

    /// The topic's name.
    public let topic: String
    let actor: ActorID
    /// Whose request this answers: another may lack what was left out.
    let requester: ActorID
    /// The request's offset in the sender's log. What was changed between it and ``position`` is here,
    /// or was seen by the requester.
    let start: Int64
    /// Where to go on.
    let position: ExchangePosition
    /// Whether nothing is missing behind it.
    public let isEnd: Bool
    /// What the sender has seen; empty before the end.
    let seen: VersionVector
    let items: [SharedItem]

    init(
        topic: String, actor: ActorID, requester: ActorID, start: Int64, position: ExchangePosition,
        isEnd: Bool, seen: VersionVector, items: [SharedItem]
    ) {
        self.topic = topic
        self.actor = actor
        self.requester = requester
        self.start = start
        self.position = position
        self.isEnd = isEnd
        self.seen = seen
        self.items = items
    }

    /// How many keys have a state in it.
    public var keyCount: Int { items.count }
    /// About how many bytes these take. O(states).
    public var byteCount: Int { items.reduce(0) { $0 + $1.byteCount } }

    /// For a network. Layout in `docs/file-formats.md`, "Shared topic".
    public func encoded() -> [UInt8] {
        var writer = StateWriter()
        writer.head(Self.kind, topic, actor)
        writer.actor(requester)
        writer.number(start)
        writer.position(position)
        writer.number(UInt8(isEnd ? 1 : 0))
        writer.block(seen.encoded())
        writer.number(UInt32(items.count))
        for item in items { writer.item(item) }
        return writer.bytes
    }

    /// Throws ``DatabaseError/Code/malformedMessage``, and ``DatabaseError/Code/newerFormat`` for a
    /// version that is not known.
    public init(decoding bytes: [UInt8]) throws(DatabaseError) {
        self = try ExchangeMessage.decode(bytes, Self.kind, "batch") {
            reader, topic, actor throws(CausalityError) in
            guard let requester = try reader.actor(), let start = reader.number(Int64.self),
                start >= 0, let position = reader.position(), let end = reader.number(UInt8.self),
                end <= 1,
                let seen = reader.block(), let count = reader.number(UInt32.self),
                Int(count) <= reader.remaining / 8
            else { return nil }
            var items: [SharedItem] = []
            for _ in 0..<count {
                guard let key = reader.block(), let state = reader.block(),
                    (1...SharedItem.maximumKeyBytes).contains(key.count)
                else { return nil }
                items.append(
                    SharedItem(key: key, register: try SharedRegister(decodingState: state)))
            }
            let vector = try VersionVector(decoding: seen, limits: SharedRegister.limits)
            guard reader.remaining == 0, end == 1 || vector.isEmpty else { return nil }
            return ExchangeReply(
                topic: topic, actor: actor, requester: requester, start: start,
                position: position, isEnd: end == 1, seen: vector, items: items)
        }
    }
}

/// What both messages begin with.
private enum ExchangeMessage {
    static let version: UInt8 = 1
    static let maximumBytes = 64 << 20

    static func decode<Message>(
        _ bytes: [UInt8], _ kind: UInt8, _ name: String,
        _ body: (inout StateReader, String, ActorID) throws(CausalityError) -> Message?
    ) throws(DatabaseError) -> Message {
        guard bytes.count <= maximumBytes else {
            throw DatabaseError(
                .malformedMessage,
                "\(name): expected at most \(maximumBytes) bytes, found \(bytes.count)")
        }
        let result = bytes.withUnsafeBytes { bytes -> Result<Message?, DatabaseError> in
            var reader = StateReader(bytes)
            guard reader.number(UInt8.self) == kind, let found = reader.number(UInt8.self) else {
                return .failure(
                    DatabaseError(.malformedMessage, "\(name): expected one, found something else"))
            }
            guard found == version else {
                return .failure(
                    DatabaseError(
                        .newerFormat, "\(name): expected version \(version), found \(found)"))
            }
            do throws(CausalityError) {
                guard let topic = reader.text(), let actor = try reader.actor() else {
                    return .success(nil)
                }
                return .success(try body(&reader, topic, actor))
            } catch {
                return .failure(DatabaseError(error, name, otherwise: .malformedMessage))
            }
        }
        guard let message = try result.get() else {
            throw DatabaseError(
                .malformedMessage, "\(name): \(bytes.count) bytes that do not hold together")
        }
        return message
    }
}

extension StateWriter {
    fileprivate mutating func head(_ kind: UInt8, _ topic: String, _ actor: ActorID) {
        number(kind)
        number(ExchangeMessage.version)
        text(topic)
        self.actor(actor)
    }

    fileprivate mutating func actor(_ actor: ActorID) {
        number(UInt8(actor.bytes.count))
        bytes(actor.bytes)
    }

    fileprivate mutating func position(_ position: ExchangePosition) {
        number(position.opening)
        number(position.offset)
    }

    mutating func item(_ item: SharedItem) {
        block(item.key)
        block(item.register.encodedState())
    }

    /// Bytes behind their number, which fits: keys and states are bounded.
    fileprivate mutating func block(_ block: [UInt8]) {
        number(UInt32(block.count))
        bytes(block)
    }
}

extension StateReader {
    fileprivate mutating func actor() throws(CausalityError) -> ActorID? {
        guard let count = number(UInt8.self), let bytes = bytes(Int(count)) else { return nil }
        return try ActorID(bytes)
    }

    fileprivate mutating func position() -> ExchangePosition? {
        guard let opening = number(UInt64.self), let offset = number(Int64.self), offset >= 0
        else { return nil }
        return ExchangePosition(opening: opening, offset: offset)
    }

    fileprivate mutating func block() -> [UInt8]? {
        number(UInt32.self).flatMap { bytes(Int($0)) }.map { Array($0) }
    }
}
