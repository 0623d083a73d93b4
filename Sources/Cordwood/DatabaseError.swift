import CordwoodLog
import CordwoodStorage
import CordwoodVectors

/// Why a database refused or failed. What the log, the storage or the index said is kept as the
/// cause.
public struct DatabaseError: Error, Sendable, CustomStringConvertible {
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        public let description: String

        /// The folder holds something else, or nothing where a database was expected.
        public static let notADatabase = Code(description: "not a database")
        /// The files were written by a newer version.
        public static let newerFormat = Code(description: "newer format")
        /// Another process, or another `Database` of this one, holds it open.
        public static let locked = Code(description: "database is open elsewhere")
        /// No topic of that name.
        public static let unknownTopic = Code(description: "unknown topic")
        /// No collection of that name.
        public static let unknownCollection = Code(description: "unknown collection")
        /// A name outside the allow-list.
        public static let invalidName = Code(description: "invalid name")
        /// A topic or collection of that name exists with another configuration.
        public static let configurationMismatch = Code(description: "configuration mismatch")
        /// A configuration that cannot work.
        public static let invalidConfiguration = Code(description: "invalid configuration")
        /// An upsert or a delete of nothing.
        public static let emptyBatch = Code(description: "empty batch")
        /// A vector or a limit that the collection refuses; nothing was written.
        public static let invalidVector = Code(description: "invalid vector")
        /// A record of a collection that does not parse as a point.
        public static let malformedPoint = Code(description: "malformed point")
        /// The head of a collection is full, and sealing it has just failed, for the cause: nothing was
        /// written. Searches and deletions work; the next upsert has it sealed again and waits for that.
        public static let sealingFailed = Code(description: "sealing failed")
        /// The log failed; the cause says how, and what still works.
        public static let log = Code(description: "log failed")
        /// The storage failed.
        public static let storage = Code(description: "storage failed")
        /// The task was cancelled before its work began, or the work was given up; nothing was done.
        public static let cancelled = Code(description: "cancelled")
        /// The database was closed.
        public static let closed = Code(description: "closed")
    }

    public var code: Code
    public var message: String
    public var cause: (any Error)?

    public init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    init(_ cause: LogError, _ place: String) {
        let code: Code =
            switch cause.code {
            case .unsupportedFormat: .newerFormat
            case .closed: .closed
            case .cancelled: .cancelled
            case .emptyBatch: .emptyBatch
            case .invalidConfiguration: .invalidConfiguration
            case .producerFenced: .producerFenced
            case .invalidTransactionState: .invalidTransactionState
            default: .log
            }
        self.init(code, place, cause: cause)
    }

    init(_ cause: StorageError, _ place: String) {
        let code: Code =
            switch cause.code {
            case .locked: .locked
            case .invalidName: .invalidName
            default: .storage
            }
        self.init(code, place, cause: cause)
    }

    init(_ cause: VectorError, _ place: String) {
        let code: Code =
            switch cause.code {
            case .storage, .damaged, .unknownFormat: .storage
            case .cancelled: .cancelled
            case .invalidConfiguration: .invalidConfiguration
            default: .invalidVector
            }
        self.init(code, place, cause: cause)
    }

    public var description: String {
        if let cause { return "\(code): \(message): \(cause)" }
        return "\(code): \(message)"
    }
}
