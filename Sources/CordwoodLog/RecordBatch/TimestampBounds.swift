/// How far a record's timestamp may be from the log's clock. Kafka's `message.timestamp.before.max.ms`
/// and `message.timestamp.after.max.ms`.
struct TimestampBounds: Sendable {
    /// Milliseconds; nil is no limit.
    var before: Int?
    var after: Int?

    /// A log that stamps records itself takes any time from producers, and drops it.
    init(_ configuration: LogConfiguration) {
        guard configuration.messageTimestampType == .createTime else { return }
        before = configuration.messageTimestampBeforeMaxMilliseconds
        after = configuration.messageTimestampAfterMaxMilliseconds
    }

    /// Any timestamp.
    init() {}

    /// The timestamps that are taken at a time. `now` is always among them.
    func range(at now: Int64) -> ClosedRange<Int64> {
        let (lowest, isBelow) = now.subtractingReportingOverflow(Int64(before ?? 0))
        let (highest, isAbove) = now.addingReportingOverflow(Int64(after ?? 0))
        return
            (before == nil || isBelow ? .min : lowest)...(after == nil || isAbove ? .max : highest)
    }
}
