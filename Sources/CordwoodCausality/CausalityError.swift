/// Why a causal value refused what it was given. The value is as it was before the call.
public struct CausalityError: Error, Sendable, Hashable, CustomStringConvertible {
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        public let description: String

        /// An actor's id of no bytes, or of more than 255.
        public static let invalidActor = Code(description: "invalid actor")
        /// A counter that cannot grow: it is 2^64 - 1.
        public static let counterOverflow = Code(description: "counter overflow")
        /// Encoded bytes of another kind or of a later version.
        public static let unknownFormat = Code(description: "unknown format")
        /// Encoded bytes that end before what they state.
        public static let truncated = Code(description: "truncated")
        /// Encoded bytes that go on after their end.
        public static let trailingBytes = Code(description: "trailing bytes")
        /// A number that is not written in its shortest form, or that cannot be what it stands for.
        public static let malformed = Code(description: "malformed")
        /// An actor that comes twice.
        public static let duplicateActor = Code(description: "duplicate actor")
        /// Actors that do not come in their order.
        public static let unsortedActors = Code(description: "unsorted actors")
        /// More actors than the reader takes.
        public static let tooManyActors = Code(description: "too many actors")
        /// More values than the reader takes.
        public static let tooManyValues = Code(description: "too many values")
        /// A time that the format of timestamps cannot hold.
        public static let timeOutOfRange = Code(description: "time out of range")
        /// A timestamp of another node that is further ahead of this node's clock than allowed.
        public static let remoteClockAhead = Code(description: "remote clock ahead")
        /// This node's clock went back further than allowed. Once it has caught up, timestamps are
        /// given again.
        public static let clockWentBack = Code(description: "clock went back")
        /// An event whose own counter does not follow the one before it at the same actor.
        public static let eventOutOfOrder = Code(description: "event out of order")
    }

    public var code: Code
    /// What was expected and found.
    public var detail: String

    public init(_ code: Code, _ detail: String) {
        self.code = code
        self.detail = detail
    }

    public var description: String { "\(code): \(detail)" }
}
