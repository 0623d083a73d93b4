/// One partition's log, whatever storage it lies on: an append-only sequence of records, numbered
/// from 0 without gaps.
///
/// All members may be called from any task at any time.
public protocol Log: AnyObject, Sendable {
    var configuration: LogConfiguration { get }

    /// The first offset that can be read.
    var startOffset: Int64 { get }
    /// The offset after the last record that readers see.
    var endOffset: Int64 { get }
    /// Every record before this offset is on the medium.
    var durableOffset: Int64 { get }
    var statistics: LogStatistics { get }
    /// Bytes in all segment files.
    var byteCount: Int { get }
    var segmentCount: Int { get }
    /// What opening the log found and did.
    var recovery: RecoveryReport { get }

    /// Appends records, side by side, and returns the offsets they got.
    ///
    /// Returns when `acknowledge` says. Waits while more than `maximumQueuedBytes` are queued; only
    /// that wait can be cancelled, and then nothing was appended. After
    /// ``LogError/Code/poisoned`` or ``LogError/Code/storage`` the records may or may not be in the
    /// log when it is reopened; what was acknowledged before is.
    func append(
        _ records: [Record], acknowledge: Acknowledgement
    ) async throws(LogError) -> Range<Int64>

    /// Throws what ``append(_:acknowledge:)`` would throw for these records before it writes any:
    /// ``LogError/Code/emptyBatch`` or ``LogError/Code/recordTooLarge``. O(records).
    func check(_ records: [Record]) throws(LogError)

    /// Verified batches from the one that holds `offset` on: about `maximumBytes`, at least one;
    /// none when `offset` is ``endOffset``.
    ///
    /// The newest come from memory; older ones are read and verified on the storage's threads.
    /// Throws ``LogError/Code/offsetOutOfRange``, and ``LogError/Code/damaged`` with the offset to
    /// go on at.
    func read(
        from offset: Int64, maximumBytes: Int
    ) async throws(LogError) -> [RecordBatch]

    /// Suspends until there are records at `offset`, the log is closed, or the task is cancelled.
    func waitForRecords(at offset: Int64) async

    /// Whether ``close()`` was called.
    var isClosed: Bool { get }

    /// Reads every byte from disk and holds it against every checksum. Damage is listed, not
    /// thrown. O(bytes).
    func verify() async throws(LogError) -> VerificationReport

    /// Writes what is queued, makes everything durable and closes the files. Later appends throw
    /// ``LogError/Code/closed``; followers end. A second call waits for the first.
    ///
    /// The log is closed after an error, too: ``LogError/Code/poisoned`` or
    /// ``LogError/Code/storage`` say that records which were not acknowledged as durable may be
    /// lost.
    func close() async throws(LogError)
}

/// What a verification read and found.
public struct VerificationReport: Sendable, Hashable {
    public var segments = 0
    public var batches = 0
    public var records = 0
    public var bytes = 0
    public var damage: [Damage] = []

    public init() {}

    /// Whether every checksum held.
    public var isSound: Bool { damage.isEmpty }

    public static func + (a: Self, b: Self) -> Self {
        var sum = a
        sum.segments += b.segments
        sum.batches += b.batches
        sum.records += b.records
        sum.bytes += b.bytes
        sum.damage += b.damage
        return sum
    }
}
