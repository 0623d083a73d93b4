public import CordwoodLog

/// Is told what the logs of a database do. Each part may be called from several logs at once.
public struct DatabaseObserver: Sendable {
    /// Which log of a database.
    public struct Place: Sendable, Hashable, CustomStringConvertible {
        /// `topic` or `collection`.
        public var kind: String
        public var name: String
        public var partition: Int

        public var description: String { "\(kind) \(name), partition \(partition)" }
    }

    /// Makes the observer of one log, when it is opened.
    public var observer: @Sendable (Place) -> LogObserver
    /// A log was opened, in so long; the report says what was scanned, cut and quarantined.
    public var opened: @Sendable (Place, RecoveryReport, Duration) -> Void
    /// How a log is now: called for each by ``Database/recordGauges()``.
    public var measured: @Sendable (Place, LogGauges) -> Void

    public init(
        observer: @escaping @Sendable (Place) -> LogObserver,
        opened: @escaping @Sendable (Place, RecoveryReport, Duration) -> Void = { _, _, _ in },
        measured: @escaping @Sendable (Place, LogGauges) -> Void = { _, _ in }
    ) {
        self.observer = observer
        self.opened = opened
        self.measured = measured
    }
}

/// The size and state of a log at one time.
public struct LogGauges: Sendable, Hashable {
    public var segments: Int
    public var bytes: Int
    public var startOffset: Int64
    public var endOffset: Int64
    public var durableOffset: Int64
    /// Bytes that compaction has not seen; 0 for a log that is not compacted.
    public var cleanableBytes: Int
    public var health: LogHealth
}

extension Database {
    /// Tells `observer` of everything that logs do which are opened from now on. Called once, right
    /// after ``open(at:_:)``; a second call replaces the observer for logs that are opened later.
    public func observe(_ observer: DatabaseObserver) async {
        await registry.observe(observer)
    }

    /// Measures each open log and tells the observer. For a timer of the caller's; reads no file.
    public func recordGauges() async { await registry.recordGauges() }
}
