/// Why a cache refused. The cache is as it was before the call.
public struct CacheError: Error, Sendable, Hashable, CustomStringConvertible {
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        public let description: String

        /// A capacity below 1.
        public static let invalidCapacity = Code(description: "invalid capacity")
        /// A number in a configuration that is out of range.
        public static let invalidConfiguration = Code(description: "invalid configuration")
        /// A weigher gave a weight below 1.
        public static let invalidWeight = Code(description: "invalid weight")
        /// An entry that is heavier than the part of the cache it belongs to.
        public static let entryTooHeavy = Code(description: "entry too heavy")
        /// A load that did not end before its deadline. The next reader begins another.
        public static let loadDeadlineExceeded = Code(description: "load deadline exceeded")
        /// As many loads are on the way as the configuration allows.
        public static let tooManyLoads = Code(description: "too many loads")
        /// A set of nodes that keys cannot be placed on.
        public static let invalidPlacement = Code(description: "invalid placement")
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
