/// What a vector index reports. After any of these errors the index is as it was before the call.
public struct VectorError: Error, Sendable, Hashable, CustomStringConvertible {
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        public let description: String

        /// A number of dimensions that no index can have.
        public static let invalidDimensions = Code(description: "invalid number of dimensions")
        /// A vector, or a batch of them, whose length is not that of the index.
        public static let wrongDimensions = Code(description: "wrong dimensions")
        /// A component that is infinite or not a number.
        public static let notFinite = Code(description: "component is not finite")
        /// A number of results below one or above the cap.
        public static let invalidLimit = Code(description: "invalid limit")
        /// A number in an index's configuration that is out of range.
        public static let invalidConfiguration = Code(description: "invalid configuration")
        /// An effort of a search that is out of range.
        public static let invalidEffort = Code(description: "invalid effort")
        /// An id that came more than once where each has one vector.
        public static let duplicateID = Code(description: "duplicate id")
        /// The index holds as many vectors as it can.
        public static let full = Code(description: "index is full")
        /// A file of an index that is of another kind or version.
        public static let unknownFormat = Code(description: "unknown format")
        /// A file of an index whose bytes are not those that were written. The index can be built again
        /// from what it is a view of.
        public static let damaged = Code(description: "damaged index file")
        /// The disk, or whatever else has the files.
        public static let storage = Code(description: "storage")
        /// The work was given up because its caller said so.
        public static let cancelled = Code(description: "cancelled")
        /// The system gave no memory.
        public static let outOfMemory = Code(description: "out of memory")
        /// An index that would not stay below its cap of memory.
        public static let memoryCap = Code(description: "memory cap too small")
        /// `CORDWOOD_ISA` names an instruction set that is unknown, or that the processor lacks.
        public static let unavailableISA = Code(description: "instruction set not available")
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
