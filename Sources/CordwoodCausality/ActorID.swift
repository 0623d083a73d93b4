/// Who takes writes: a replica, a server, a device. Any 1 to 255 bytes, such as a name or the 16 bytes
/// of a UUID.
///
/// Two writers must never share an id, and one that lost its state must come back under a new id:
/// otherwise two events have one name, and one of them is lost without a word.
///
/// Ids are ordered byte by byte, a prefix first.
public struct ActorID: Hashable, Sendable {
    public static let maximumBytes = 255

    public let bytes: [UInt8]

    /// - Throws: ``CausalityError/Code/invalidActor`` for 0 bytes or more than 255.
    public init(_ bytes: some Collection<UInt8>) throws(CausalityError) {
        try Self.check(byteCount: bytes.count)
        self.bytes = Array(bytes)
    }

    /// The UTF-8 of `name`.
    public init(_ name: String) throws(CausalityError) { try self.init(name.utf8) }

    /// Sixteen bytes, of two numbers drawn at random.
    public init(random high: UInt64, _ low: UInt64) {
        bytes = [high, low].flatMap { number in withUnsafeBytes(of: number.bigEndian) { Array($0) }
        }
    }

    /// For bytes whose count was checked.
    init(checked bytes: [UInt8]) { self.bytes = bytes }

    static func check(byteCount: Int) throws(CausalityError) {
        guard byteCount >= 1, byteCount <= maximumBytes else {
            throw CausalityError(
                .invalidActor, "expected an id of 1 to \(maximumBytes) bytes, found \(byteCount)")
        }
    }
}

extension ActorID: Comparable {
    public static func < (a: ActorID, b: ActorID) -> Bool {
        a.bytes.lexicographicallyPrecedes(b.bytes)
    }
}

extension ActorID: CustomStringConvertible {
    /// The name, where the bytes are printable UTF-8; otherwise `0x` and their hexadecimal digits.
    public var description: String { Text.printable(bytes) ?? "0x" + Text.hexadecimal(bytes) }
}
