/// One partition's log, whatever storage it lies on: an append-only sequence of records, numbered
/// from 0. An append's records get consecutive offsets; compaction takes records out and leaves the
/// others theirs.
///
/// All members may be called from any task at any time.
public protocol Log: AnyObject, Sendable {
    var configuration: LogConfiguration { get }

    /// The first offset that can be read.
    var startOffset: Int64 { get }
    /// The offset after the last record that was written.
    var endOffset: Int64 { get }
    /// The offset after the last record that replicas have, too, and the end of what readers of
    /// ``Isolation/uncommitted`` see: ``endOffset``, unless ``setHighWatermark(_:)`` was called.
    var highWatermark: Int64 { get }
    /// The end of what readers of ``Isolation/committed`` see: the high watermark, or the first
    /// record of a transaction that is still open.
    var lastStableOffset: Int64 { get }
    /// Which leader epoch wrote which offsets.
    var epochs: EpochCache { get }
    /// The offsets that truncations since the opening cut to, in their order: a view that is true
    /// up to a later offset than one that is new to it has to go back. A full disk that takes back
    /// appends of ``Acknowledgement/memory`` is one of them, for views that know these already.
    var truncations: [Int64] { get }
    /// Every record before this offset is on the medium.
    var durableOffset: Int64 { get }
    var statistics: LogStatistics { get }
    /// Tells `observer`, in the place of an earlier one, what the log does from now on.
    func observe(_ observer: LogObserver?) async
    /// Whether it takes appends now, and why not.
    var health: LogHealth { get }
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

    /// ``append(_:acknowledge:)`` for the owner of a view that knows of so many ``truncations``:
    /// where there were others since, throws ``LogError/Code/truncated``, and nothing was appended.
    func append(
        _ records: [Record], acknowledge: Acknowledgement, truncations: Int
    ) async throws(LogError) -> Range<Int64>

    /// Returns when what was appended at `offsets` is as safe as `acknowledge` says, whoever waits
    /// for it beside. Throws ``LogError/Code/truncated``, ``LogError/Code/readOnly``,
    /// ``LogError/Code/poisoned`` or ``LogError/Code/storage`` when it never will be.
    func wait(for offsets: Range<Int64>, _ acknowledge: Acknowledgement) async throws(LogError)

    /// Appends a batch of an idempotent or transactional producer and returns the offsets it got.
    /// A batch that the log holds already, one of the producer's last five, is not appended again:
    /// its offsets are returned, once they are as durable as `acknowledge` asks for now.
    ///
    /// The records must fit one batch (``batches(_:)``): it is appended whole or not at all. Nothing
    /// was appended after ``LogError/Code/outOfOrderSequence``, ``LogError/Code/producerFenced``,
    /// ``LogError/Code/invalidTransactionState``, ``LogError/Code/invalidProducer`` and
    /// ``LogError/Code/tooManyProducers``. After ``LogError/Code/poisoned`` or
    /// ``LogError/Code/storage`` send the same batch again once the log was reopened: it is appended
    /// once. Without a `producer` this is ``append(_:acknowledge:)``.
    func append(
        _ records: [Record], producer: ProducerSequence?, acknowledge: Acknowledgement
    ) async throws(LogError) -> Range<Int64>

    /// Ends the producer's open transaction in this log and returns the marker's offset. Sending a
    /// marker again is harmless: it ends nothing. Fences lower epochs of the producer.
    ///
    /// Throws ``LogError/Code/producerFenced``, and ``LogError/Code/coordinatorFenced`` when a
    /// coordinator of a later epoch has been here.
    func appendMarker(
        _ marker: TransactionMarker, producerID: Int64, epoch: Int16, coordinatorEpoch: Int32,
        acknowledge: Acknowledgement
    ) async throws(LogError) -> Int64

    /// How many records go into each batch when ``append(_:acknowledge:)`` divides them. Throws
    /// what it would throw. O(records).
    func batches(_ records: [Record]) throws(LogError) -> [Int]

    /// The producers that the log remembers, by id, as they are at ``endOffset``. O(producers).
    func producers() async -> [ProducerDescription]

    /// Forgets producers that were last heard of `producerIDExpirationMilliseconds` ago or earlier,
    /// but none with an open transaction. One that comes back may begin with any sequence number.
    /// O(producers).
    func expireProducers(now: Int64) async

    /// The transactions with records in `offsets` that were aborted, where that is decided: before
    /// ``lastStableOffset``. By the offsets of their markers.
    func abortedTransactions(
        in offsets: Range<Int64>
    ) async throws(LogError) -> [AbortedTransaction]

    /// Throws what ``append(_:acknowledge:)`` would throw for these records before it writes any:
    /// ``LogError/Code/emptyBatch``, ``LogError/Code/recordTooLarge``,
    /// ``LogError/Code/invalidTimestamp`` or ``LogError/Code/keyRequired``. O(records).
    func check(_ records: [Record]) throws(LogError)

    /// Verified batches from the one that holds `offset`, or the first behind it, on: about
    /// `maximumBytes`, at least one; none where the reader's isolation sees nothing more.
    ///
    /// The newest come from memory; older ones are read and verified on the storage's threads.
    /// Throws ``LogError/Code/offsetOutOfRange``, and ``LogError/Code/damaged`` with the offset to
    /// go on at.
    func read(
        from offset: Int64, maximumBytes: Int, isolation: Isolation
    ) async throws(LogError) -> [RecordBatch]

    /// Suspends until a reader of that isolation sees a record at `offset` or behind it, the log has
    /// other ``truncations`` than the number of them that the caller knows of, it is closed, or the
    /// task is cancelled. What is appended for others wakes nobody.
    func waitForRecords(at offset: Int64, isolation: Isolation, truncations: Int) async

    /// Suspends until the log is closed, or the task is cancelled.
    func waitForClosing() async

    /// Looks up an offset by time: Kafka's `ListOffsets`. Timestamps need not be in order. Nil where
    /// no record that the isolation sees has such a timestamp. Reads and verifies about an interval
    /// of the index; throws ``LogError/Code/damaged`` when that is damaged before the record that
    /// would be the answer, since the answer may have been there.
    func offset(
        for query: TimestampQuery, isolation: Isolation
    ) async throws(LogError) -> TimestampedOffset?

    /// Gives up the records before `offset`: Kafka's `DeleteRecords`. Returns the start offset,
    /// durable, which never goes back; an offset before it changes nothing.
    ///
    /// Segments that end there are removed; a reader that holds batches of them keeps these. Throws
    /// ``LogError/Code/offsetOutOfRange`` for an offset beyond the high watermark.
    @discardableResult
    func deleteRecords(before offset: Int64) async throws(LogError) -> Int64

    /// Makes everything durable that was written so far, for whom `written` was enough until now.
    func flush() async throws(LogError)

    /// Gives up the oldest segments by size and age, as `retentionBytes` and
    /// `retentionMilliseconds` say, and those before the start; returns how many. Never beyond the
    /// high watermark. Readers that hold batches keep them.
    ///
    /// `now` is the log's clock, in milliseconds since 1970-01-01 UTC. A segment's age is counted
    /// from the smaller of its largest timestamp and its last append, so that no timestamp in the
    /// future keeps it.
    @discardableResult
    func applyRetention(now: Int64) async throws(LogError) -> Int

    /// Seals the active segment when its first record came `segmentMilliseconds` ago or more, less
    /// the jitter, or in a log that is compacted `maxCompactionLagMilliseconds`; says whether it
    /// did. Appends do the same.
    @discardableResult
    func rollIfAged(now: Int64) async throws(LogError) -> Bool

    /// Seals the active segment, unless it is empty, and starts the next one.
    func roll() async throws(LogError)

    /// Begins a leader epoch: batches appended from now on carry it. Durable when it returns; the
    /// latest epoch again changes nothing. Throws ``LogError/Code/staleEpoch`` for an older one.
    func startEpoch(_ epoch: Int32) async throws(LogError)

    /// Where an epoch ends, as Kafka's `OffsetForLeaderEpoch` answers: the largest epoch up to the
    /// one asked for, and the offset after its last record; nil for one that is newer than all.
    func endOffset(forEpoch epoch: Int32) -> (epoch: Int32, endOffset: Int64)?

    /// Gives up the batch that holds `offset` and all behind it, for a replica whose leader does
    /// not have them; returns the new end, durable.
    ///
    /// Appends that are queued fail with ``LogError/Code/truncated``; readers that were beyond the
    /// new end are told so (``truncations``). Throws ``LogError/Code/offsetOutOfRange`` for an
    /// offset before the start or behind the end.
    @discardableResult
    func truncate(to offset: Int64) async throws(LogError) -> Int64

    /// Sets how far replicas have the log. It never goes back, but for a truncation, and never
    /// beyond the end; nil makes the end count again. Not kept on disk: a replica learns it anew.
    func setHighWatermark(_ offset: Int64?)

    /// Changes the settings, for what is written from now on.
    func alter(_ configuration: LogConfiguration) async throws(LogError)

    /// Whether ``close()`` was called.
    var isClosed: Bool { get }

    /// Bytes of sealed segments that have not been compacted and may be now.
    var cleanableBytes: Int { get async }
    /// The part of the compactable log that has not been compacted, 0 to 1.
    var dirtyRatio: Double { get async }
    /// Why the last compaction failed; nil when it did not. Nothing was lost by it.
    var compactionFailure: LogError? { get async }

    /// Compacts when the configuration says so: the policy includes ``CleanupPolicy/compact``, and
    /// more than `minCleanableDirtyRatio` is dirty or a record has waited for longer than
    /// `maxCompactionLagMilliseconds`. Returns nil when it does not, or a pass runs already.
    ///
    /// Appends and reads go on; a cancelled task ends the pass between two steps. After a failure
    /// every record that counts is there, and the next pass tries again.
    @discardableResult
    func compactIfDue(
        now: Int64, options: CompactionOptions
    ) async throws(LogError) -> CompactionReport?

    /// Compacts whatever the dirty ratio: all sealed segments that the minimum lag and open
    /// transactions allow. To include what was appended last, call ``roll()`` first.
    ///
    /// Returns nil when there is nothing to be compacted or a pass runs already. With `force` what
    /// is clean is looked at, too, and tombstones beyond their grace go. Throws
    /// ``LogError/Code/invalidConfiguration`` when the policy does not include
    /// ``CleanupPolicy/compact``, since records without a key would go.
    @discardableResult
    func compact(force: Bool, options: CompactionOptions) async throws(LogError)
        -> CompactionReport?

    /// Reads every byte from disk and holds it against every checksum. Damage is listed, not
    /// thrown. O(bytes).
    func verify() async throws(LogError) -> VerificationReport

    /// Writes what is queued, makes everything durable and closes the files. Later appends throw
    /// ``LogError/Code/closed``; followers end. A second call waits for the first.
    ///
    /// The log is closed after an error, too: ``LogError/Code/poisoned``,
    /// ``LogError/Code/readOnly`` or ``LogError/Code/storage`` say that records which were not
    /// acknowledged as durable may be lost.
    func close() async throws(LogError)
}

extension Log {
    /// See ``read(from:maximumBytes:isolation:)``; up to the high watermark.
    public func read(from offset: Int64, maximumBytes: Int) async throws(LogError) -> [RecordBatch]
    {
        try await read(from: offset, maximumBytes: maximumBytes, isolation: .uncommitted)
    }

    /// See ``offset(for:isolation:)``; up to the high watermark.
    public func offset(for query: TimestampQuery) async throws(LogError) -> TimestampedOffset? {
        try await offset(for: query, isolation: .uncommitted)
    }

    /// See ``waitForRecords(at:isolation:truncations:)``; of truncations only those wake the caller
    /// that come while it waits.
    public func waitForRecords(at offset: Int64, isolation: Isolation = .uncommitted) async {
        await waitForRecords(at: offset, isolation: isolation, truncations: truncations.count)
    }
}

extension Log {
    /// The end of what a reader of that isolation sees.
    public func end(for isolation: Isolation) -> Int64 {
        switch isolation {
        case .logEnd: endOffset
        case .uncommitted: highWatermark
        case .committed: lastStableOffset
        }
    }
}

/// How far a reader looks, and what it passes over. Kafka's `isolation.level`, and the replica's.
public enum Isolation: Sendable, Hashable, CaseIterable {
    /// All that was written, replicated or not: for replicas.
    case logEnd
    /// Up to the high watermark.
    case uncommitted
    /// Up to the last stable offset, without the records of transactions that were aborted.
    case committed
}
