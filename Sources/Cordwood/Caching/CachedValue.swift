/// What a ``CachedView`` knows of a key, and up to where that is true.
public struct CachedValue: Sendable, Hashable {
    /// Nil: the key has no value.
    public var value: [UInt8]?
    /// The partition that the key's records are in.
    public var partition: Int
    /// Every record of the key before this offset of the partition is accounted for.
    public var offset: Int64

    /// The value as UTF-8 text; nil where there is none or it is not valid UTF-8.
    public var text: String? { value.flatMap { String(validating: $0, as: UTF8.self) } }
}

extension DatabaseError.Code {
    /// A view has not come as far as was asked for in the time that was given for it. What was appended
    /// is in the log.
    public static let deadlineExceeded = Self(description: "deadline exceeded")
    /// A view whose values come from an origin that it does not write. Nothing was appended.
    public static let viewIsReadOnly = Self(description: "view is read-only")
}
