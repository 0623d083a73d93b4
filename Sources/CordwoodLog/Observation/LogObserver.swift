/// Is told what a log does, while it does it: for metrics and logs.
///
/// The log calls it on its own executor, in the path of appends: it must return at once. Without
/// one, nothing is measured; with one, an append costs two readings of a clock and no allocation.
public struct LogObserver: Sendable {
    /// An append returned to its caller, acknowledged as it asked for, so long after it came.
    public var appended: @Sendable (_ latency: Duration) -> Void
    /// A group was written and, where anyone asked for it, synced.
    public var committed: @Sendable (LogGroup) -> Void
    /// Something that happens seldom.
    public var happened: @Sendable (PartitionEvent) -> Void
    /// A clock that only goes forward.
    public var now: @Sendable () -> Duration

    public init(
        appended: @escaping @Sendable (_ latency: Duration) -> Void = { _ in },
        committed: @escaping @Sendable (LogGroup) -> Void = { _ in },
        happened: @escaping @Sendable (PartitionEvent) -> Void = { _ in },
        now: @escaping @Sendable () -> Duration = LogObserver.monotonicNow
    ) {
        self.appended = appended
        self.committed = committed
        self.happened = happened
        self.now = now
    }

    /// The time since the first call in this process.
    public static let monotonicNow: @Sendable () -> Duration = {
        ContinuousClock.now - origin
    }
    private static let origin = ContinuousClock.now
}

/// One group of batches on its way to the medium.
public struct LogGroup: Sendable, Hashable {
    public var batches: Int
    public var records: Int
    public var bytes: Int
    public var isSynced: Bool
    /// From the write's submission to the end of its sync.
    public var duration: Duration
}

/// What happens to a log now and then.
public enum PartitionEvent: Sendable {
    /// A segment was sealed, and one begun that starts at this offset.
    case rolled(baseOffset: Int64)
    /// The oldest segments were given up, so many, by retention or
    /// ``Log/deleteRecords(before:)``; the log begins at this offset now.
    case gaveUp(segments: Int, startOffset: Int64)
    /// A pass of compaction came to its end.
    case compacted(CompactionReport, duration: Duration)
    /// A pass failed; nothing was lost by it, and the next one tries again.
    case compactionFailed(LogError)
    /// The disk is full; see ``LogError/Code/readOnly``.
    case becameReadOnly(LogError)
    /// There is space again.
    case resumed
    /// A write or a sync failed; see ``LogError/Code/poisoned``.
    case poisoned(LogError)
}
