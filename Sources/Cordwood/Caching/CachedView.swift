import CordwoodCache
public import CordwoodLog
import Synchronization

/// A bounded cache over a topic that never serves what the log has overtaken.
///
/// Values come from the latest record of their key or from an origin (``ViewSource``), one load a key however
/// many ask, and stay in memory by S3-FIFO, and, with a disk tier, in files that survive a restart. The view
/// follows the log's tail: a record invalidates its key, and a load that began before it is not kept, whenever
/// it returns.
///
/// **What it claims.** Each answer says up to which offset of the key's partition it is true: every record of
/// the key before it is accounted for (``CachedValue/offset``). That is where the view is, which may be behind
/// the log; who must see a record asks with its position (``value(for:atLeast:)-(_,Receipt)``). What is
/// answered may be newer than what is claimed. After a truncation of the log, claims hold again when the view
/// has seen it.
///
/// **Cost.** A hit is a look at an offset and one in the cache: O(key), without a task. Memory is the cache's
/// capacity, and what the source and the disk tier say of theirs. One task follows each partition, one more
/// writes it to an origin behind the log. Loads, waits and what waits for the origin are bounded.
///
/// A damaged place of a log that has to be read ends what can be proved: where records are the values, calls
/// for the partition's keys throw until it can be read, and where they say only which keys changed, everything
/// is forgotten and the view goes on behind it. Should compaction take a tombstone out before the view has seen
/// it, the view does not see it: it has `deleteRetentionMilliseconds` of the log to do so.
///
/// May be used from any task at any time. Close it before its database, or just the database: then what memory
/// has does not reach the disk tier. Released, it stops to follow.
public final class CachedView: Sendable {
    public let topic: Topic
    public var configuration: CachedViewConfiguration { core.configuration }
    let core: ViewCore
    private let tasks: [Task<Void, Never>]
    private let turn = AsyncLock()
    private let isClosed = Atomic<Bool>(false)

    init(_ core: ViewCore) {
        self.core = core
        topic = core.topic
        let executor = core.topic.views.ownTasksExecutor
        var tasks = core.partitions.map { place in
            Task(executorPreference: executor) { await core.follow(place) }
        }
        if let writeBehind = core.source.writeBehind {
            tasks += core.partitions.map { place in
                let writer = OriginWriter(core: core, place: place, configuration: writeBehind)
                return Task(executorPreference: executor) { await writer.run() }
            }
        }
        self.tasks = tasks
    }

    deinit { for task in tasks { task.cancel() } }

    public var statistics: CachedViewStatistics { core.statistics }
    /// The offsets up to which the view is true, one for each partition.
    public var offsets: [Int64] { core.partitions.map(\.appliedOffset) }

    // MARK: Reading

    /// What the view knows of a key now, loaded where it must be.
    ///
    /// Throws ``DatabaseError/Code/log`` where the partition cannot be followed, what the origin's loader
    /// throws, `CancellationError`, and `CacheError` for a load that does not return in time
    /// (`CacheConfiguration.loadDeadline`) or where too many are on the way.
    public func value(for key: [UInt8]) async throws -> CachedValue {
        let place = core.partition(of: key)
        if let failure = place.failure { throw failure }
        // Before the look: what it finds is at least as new.
        let offset = place.appliedOffset
        let core = core
        let value = try await core.cache.value(for: key) { try await core.load($0) }
        return CachedValue(value: value, partition: place.partition.number, offset: offset)
    }

    /// The same, once a record is accounted for: whoever appended it reads what came of it. Waits for one
    /// that is not there yet.
    ///
    /// Throws ``DatabaseError/Code/deadlineExceeded`` after ``CachedViewConfiguration/readDeadline``,
    /// ``DatabaseError/Code/cancelled``, ``DatabaseError/Code/closed``, and
    /// ``DatabaseError/Code/offsetOutOfRange`` for a partition that there is not.
    public func value(
        for key: [UInt8], atLeast position: RecordPosition
    ) async throws -> CachedValue {
        try await wait(for: [position])
        return try await value(for: key)
    }

    /// The same, once all records of an append are accounted for.
    public func value(for key: [UInt8], atLeast receipt: Receipt) async throws -> CachedValue {
        try await wait(for: receipt.positions)
        return try await value(for: key)
    }

    private func wait(for positions: [RecordPosition]) async throws(DatabaseError) {
        // The last one of each partition.
        var last: [Int: Int64] = [:]
        for position in positions {
            guard core.partitions.indices.contains(position.partition) else {
                throw DatabaseError(
                    .offsetOutOfRange,
                    "topic \(topic.name) has no partition \(position.partition)")
            }
            last[position.partition] = max(position.offset, last[position.partition] ?? 0)
        }
        for (partition, offset) in last where core.partitions[partition].appliedOffset <= offset {
            try await core.wait(for: offset, in: core.partitions[partition])
        }
    }

    // MARK: Writing

    /// Appends values, or their absence, and returns when the view has them: acknowledged as asked first,
    /// then in the cache. Only where records are the values: not over an origin that others write.
    ///
    /// Over an origin that is written behind the log it waits while too much is on its way there, and never
    /// for the origin's having it.
    ///
    /// Throws ``DatabaseError/Code/viewIsReadOnly`` and what an append throws, before which nothing is
    /// changed; and, when the records are appended, what reading them throws: see
    /// ``value(for:atLeast:)-(_,Receipt)``.
    @discardableResult
    public func write(
        _ values: [(key: [UInt8], value: [UInt8]?)], acknowledge: Acknowledgement = .durable
    ) async throws(DatabaseError) -> Receipt {
        if case .origin = core.source.kind {
            throw DatabaseError(
                .viewIsReadOnly,
                "topic \(topic.name) says what changes in an origin; change it there, then append")
        }
        let keys = Dictionary(grouping: values.map(\.key)) { topic.partition(of: $0) }
        for (partition, keys) in keys { core.partitions[partition].beginWriting(keys) }
        defer { for (partition, keys) in keys { core.partitions[partition].endWriting(keys) } }
        let receipt: Receipt
        do throws(LogError) {
            receipt = try await topic.append(
                values.map { Record(key: $0.key, value: $0.value) }, acknowledge: acknowledge)
        } catch { throw DatabaseError(error, "topic \(topic.name)") }
        try await wait(for: receipt.positions)
        return receipt
    }

    /// Writes one value, or its absence.
    @discardableResult
    public func write(
        _ value: [UInt8]?, for key: [UInt8], acknowledge: Acknowledgement = .durable
    ) async throws(DatabaseError) -> Receipt {
        try await write([(key: key, value: value)], acknowledge: acknowledge)
    }

    /// Returns when the origin that is written behind the log has everything that was visible in the topic
    /// at this call. Waits as long as it takes; a cancelled task throws ``DatabaseError/Code/cancelled``.
    public func flushToOrigin() async throws(DatabaseError) {
        guard core.source.writeBehind != nil else { return }
        for place in core.partitions {
            let end = place.partition.endOffset(for: core.configuration.isolation)
            if end > place.appliedOffset { try await place.wait(for: end - 1) }
            await place.waitForOrigin(before: end)
            if Task.isCancelled { throw DatabaseError(.cancelled, "a view of \(place.place)") }
            if place.isEnded { throw DatabaseError(.closed, "a view of \(place.place)") }
        }
    }

    // MARK: Closing

    /// Stops to follow the log and to write to the origin, commits how far that has come, and takes what
    /// memory has to the disk tier. Values are not served up to date any more. A second call does nothing.
    public func close() async {
        await turn.withLock {
            if isClosed.exchange(true, ordering: .acquiringAndReleasing) { return }
            for task in tasks { task.cancel() }
            for task in tasks { await task.value }
            await core.demoteAll()
        }
    }
}
