/// What a log has done since it was opened.
public struct LogStatistics: Sendable, Hashable {
    public var appendedRecords = 0
    public var appendedBytes = 0
    /// Writes; each is one group of batches.
    public var groups = 0
    /// Groups that were synced.
    public var syncs = 0
    /// Producers' batches that the log had already.
    public var duplicateBatches = 0

    /// Passes of compaction that came to their end.
    public var compactions = 0
    /// Bytes that they read.
    public var compactedBytes = 0
    /// Passes that failed; each is tried again.
    public var failedCompactions = 0

    public init() {}

    public static func + (a: Self, b: Self) -> Self {
        var sum = a
        sum.appendedRecords += b.appendedRecords
        sum.appendedBytes += b.appendedBytes
        sum.groups += b.groups
        sum.syncs += b.syncs
        sum.duplicateBatches += b.duplicateBatches
        sum.compactions += b.compactions
        sum.compactedBytes += b.compactedBytes
        sum.failedCompactions += b.failedCompactions
        return sum
    }
}
