public import CordwoodStorage

/// Why the log refused or failed: what it was doing, where, what it expected and found, and what
/// still works.
public struct LogError: Error, Sendable, CustomStringConvertible {
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        public let description: String

        /// An append of no records.
        public static let emptyBatch = Code(description: "empty batch")
        /// One record that no batch within `maxMessageBytes` can hold. Nothing was written.
        public static let recordTooLarge = Code(description: "record too large")
        /// A record's timestamp is further from the log's clock than its configuration allows;
        /// nothing was appended.
        public static let invalidTimestamp = Code(description: "invalid timestamp")
        /// A record without a key for a log that is compacted. Nothing was written.
        public static let keyRequired = Code(description: "key required")
        /// An offset before the start or after the end of the log.
        public static let offsetOutOfRange = Code(description: "offset out of range")
        /// Bytes whose checksums or structure do not hold. They are never served;
        /// ``LogError/resumeOffset`` says where reading can go on.
        public static let damaged = Code(description: "damaged")
        /// A record whose inside does not parse although its batch's checksum holds.
        public static let malformedRecord = Code(description: "malformed record")
        /// Compressed records that do not inflate, or inflate to more than 64 MiB, although their
        /// batch's checksum holds. The batches around them can be read.
        public static let malformedCompression = Code(description: "malformed compression")
        /// A batch whose codec Kafka's format does not name.
        public static let unsupportedCodec = Code(description: "unsupported codec")
        /// A file of a newer format, or no file of this kind at all.
        public static let unsupportedFormat = Code(description: "unsupported format")
        /// A manifest, or the set of segment files, that contradicts itself. Nothing was changed.
        public static let inconsistent = Code(description: "inconsistent")
        /// A configuration that cannot work.
        public static let invalidConfiguration = Code(description: "invalid configuration")
        /// A write or a sync failed earlier. The log takes no more appends; reads keep working;
        /// reopen it to recover what is on disk.
        public static let poisoned = Code(description: "poisoned")
        /// The disk is full. Nothing of the append was kept; reads keep working; appends resume by
        /// themselves when space returns.
        public static let readOnly = Code(description: "read-only")
        /// The storage failed; ``LogError/cause`` says how.
        public static let storage = Code(description: "storage failed")
        /// A leader epoch that is older than the log's latest.
        public static let staleEpoch = Code(description: "stale epoch")
        /// The log was cut below an append that was queued, or below a reader;
        /// ``LogError/resumeOffset`` says where the log ends now.
        public static let truncated = Code(description: "truncated")
        /// The log was closed.
        public static let closed = Code(description: "closed")
        /// A producer's batch that neither continues its sequence nor is one of its newest sent
        /// again. Nothing was appended. The producer must take a new epoch to go on.
        public static let outOfOrderSequence = Code(description: "out of order sequence")
        /// A batch or marker of a producer's earlier epoch: another one has taken its place.
        public static let producerFenced = Code(description: "producer fenced")
        /// A marker of an earlier epoch of the transaction coordinator.
        public static let coordinatorFenced = Code(description: "coordinator fenced")
        /// Records that do not belong to their producer's open transaction.
        public static let invalidTransactionState = Code(
            description: "invalid transaction state")
        /// A producer id, an epoch or a sequence number below 0, or a producer's records that do
        /// not fit one batch.
        public static let invalidProducer = Code(description: "invalid producer")
        /// More producers than one log remembers.
        public static let tooManyProducers = Code(description: "too many producers")
        /// The task was cancelled while it waited; nothing was appended.
        public static let cancelled = Code(description: "cancelled")
    }

    public var code: Code
    public var message: String
    public var cause: StorageError?
    /// For ``Code/damaged``: the first offset after the damage that can be read.
    public var resumeOffset: Int64?

    public init(
        _ code: Code, _ message: String, cause: StorageError? = nil, resumeOffset: Int64? = nil
    ) {
        self.code = code
        self.message = message
        self.cause = cause
        self.resumeOffset = resumeOffset
    }

    package init(_ cause: StorageError, while doing: String) {
        self.init(.storage, "\(doing) failed", cause: cause)
    }

    public var description: String {
        var text = "\(code): \(message)"
        if let cause { text += ": \(cause)" }
        if let resumeOffset { text += "; reading can go on at offset \(resumeOffset)" }
        return text
    }
}
