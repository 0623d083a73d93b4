public import CordwoodCausality

/// What one event wrote to a key of a ``SharedTopic``: a value, or that there is none.
public struct SharedVersion: Sendable, Hashable {
    public static let maximumValueBytes = 1 << 20

    /// The event's name.
    public let dot: Dot
    public let timestamp: HybridTimestamp
    /// nil: the key was deleted.
    public let value: [UInt8]?
    /// Whether a ``SharedTopicConfiguration/Resolution/merge(_:)`` made it of other versions.
    public let isMerge: Bool

    init(_ sibling: SharedRegister.Sibling) {
        dot = sibling.dot
        timestamp = sibling.value.timestamp
        value = sibling.value.value
        isMerge = sibling.value.isMerge
    }

    /// Oldest first, and the same everywhere.
    static func precedes(_ a: SharedVersion, _ b: SharedVersion) -> Bool {
        (a.timestamp, a.dot) < (b.timestamp, b.dot)
    }
}

typealias SharedRegister = MultiValueRegister<SharedContent>

/// A version without its dot. Bytes in `docs/file-formats.md`, "Shared topic".
struct SharedContent: Sendable, Hashable {
    var timestamp: HybridTimestamp
    var value: [UInt8]?
    var isMerge = false

    private static let hasValue: UInt8 = 1
    private static let isMergeBit: UInt8 = 2
    private static let headBytes = 9

    func encoded() -> [UInt8] {
        let flags = (value == nil ? 0 : Self.hasValue) | (isMerge ? Self.isMergeBit : 0)
        return [flags] + timestamp.encoded() + (value ?? [])
    }

    init(timestamp: HybridTimestamp, value: [UInt8]?, isMerge: Bool = false) {
        self.timestamp = timestamp
        self.value = value
        self.isMerge = isMerge
    }

    init(decoding bytes: [UInt8]) throws(CausalityError) {
        guard bytes.count >= Self.headBytes else {
            throw CausalityError(
                .truncated,
                "version: expected at least \(Self.headBytes) bytes, found \(bytes.count)")
        }
        let flags = bytes[0]
        let rest = bytes.count - Self.headBytes
        guard flags & ~(Self.hasValue | Self.isMergeBit) == 0,
            flags & Self.hasValue != 0 || rest == 0, rest <= SharedVersion.maximumValueBytes
        else {
            throw CausalityError(
                .malformed,
                "version: expected flags 0 to 3, and at most \(SharedVersion.maximumValueBytes) "
                    + "bytes of value where it has one, found flags \(flags) and \(rest) bytes")
        }
        timestamp = try HybridTimestamp(decoding: Array(bytes[1..<Self.headBytes]))
        value = flags & Self.hasValue == 0 ? nil : Array(bytes[Self.headBytes...])
        isMerge = flags & Self.isMergeBit != 0
    }
}

extension MultiValueRegister where Value == SharedContent {
    /// What a register of a record or of a message may hold.
    static var limits: CausalityLimits { CausalityLimits(actors: 1024, values: 1024) }

    func encodedState() -> [UInt8] { mapValues { $0.encoded() }.encoded() }

    init(decodingState bytes: [UInt8]) throws(CausalityError) {
        self = try MultiValueRegister<[UInt8]>(decoding: bytes, limits: Self.limits)
            .mapValues { (bytes) throws(CausalityError) in try SharedContent(decoding: bytes) }
    }

    /// Oldest first.
    var versions: [SharedVersion] {
        siblings.map { SharedVersion($0) }.sorted(by: SharedVersion.precedes)
    }
}
