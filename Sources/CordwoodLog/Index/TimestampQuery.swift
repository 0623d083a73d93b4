/// What to look for in a log by time. Kafka's `ListOffsets`.
public enum TimestampQuery: Sendable, Hashable {
    /// The first offset that can be read.
    case earliest
    /// The offset that the next record gets which the reader will see.
    case latest
    /// The first of the records with the largest timestamp.
    case maxTimestamp
    /// The first record with this timestamp, in milliseconds since 1970-01-01 UTC, or a later one.
    case atOrAfter(Int64)
}

/// An offset that was looked up by time.
public struct TimestampedOffset: Sendable, Hashable {
    public var offset: Int64
    /// The record's, in milliseconds since 1970-01-01 UTC; nil for an end of the log.
    public var timestamp: Int64?

    public init(offset: Int64, timestamp: Int64? = nil) {
        self.offset = offset
        self.timestamp = timestamp
    }
}
