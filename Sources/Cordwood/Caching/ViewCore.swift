import CordwoodCache
import CordwoodLog
import CordwoodStorage
import Synchronization

/// What a ``CachedView`` and the tasks that work for it share.
///
/// **Why nothing out of date is kept.** Each record is applied in this order: it is noted (its offset, what
/// the origin lacks), the disk tier forgets its key, memory forgets it, together with a load of the key that
/// is on the way, and only then the new offset is published. Whoever reads the offset first and then finds a
/// value in the cache has one that was put there after the key's last record before that offset; whoever
/// loads does so after it was noted. A value that leaves memory for the disk is the same question once more,
/// which ``ChangeWindow`` answers.
final class ViewCore: Sendable {
    /// About how much of a log is read at a time.
    static let readBytes = 1 << 20
    private static let leastPause: Duration = .milliseconds(10)
    private static let longestPause: Duration = .seconds(5)

    let topic: Topic
    let configuration: CachedViewConfiguration
    let source: ViewSource
    let clock: any Clock<Duration>
    let partitions: [ViewPartition]
    let cache: Cache<[UInt8], [UInt8]>
    let tier: DiskTier?
    /// Held while a record is applied, and while an entry moves to the disk.
    private let changes: Mutex<ChangeWindow>
    /// The last change that was applied everywhere.
    let settledChange: SharedCounter
    private let counts = Mutex(CachedViewStatistics())

    init(
        _ topic: Topic, _ configuration: CachedViewConfiguration, _ source: ViewSource,
        partitions: [ViewPartition], tier: DiskTier?, clock: any Clock<Duration>
    ) throws(DatabaseError) {
        self.topic = topic
        self.configuration = configuration
        self.source = source
        self.partitions = partitions
        self.tier = tier
        self.clock = clock
        changes = Mutex(ChangeWindow())
        let settled = SharedCounter()
        settledChange = settled
        let demotion = Demotion()
        do {
            cache = try Self.cache(configuration, clock, settled, tier == nil ? nil : demotion)
        } catch { throw DatabaseError(.invalidConfiguration, "the cache", cause: error) }
        demotion.core.withLock { $0 = WeakCore(core: self) }
    }

    private static func cache(
        _ configuration: CachedViewConfiguration, _ clock: some Clock<Duration>,
        _ settled: SharedCounter, _ demotion: Demotion?
    ) throws(CacheError) -> Cache<[UInt8], [UInt8]> {
        let weigher: @Sendable ([UInt8], [UInt8]) -> Int = {
            $0.count + $1.count + CachedViewConfiguration.entryOverheadBytes
        }
        var hook: (@Sendable ([UInt8], [UInt8], EvictionCause, UInt64) async -> Void)?
        if let demotion {
            hook = { key, value, cause, stamp in
                guard cause == .capacity else { return }
                let core = demotion.core.withLock { $0?.core }
                await core?.demote(key, value, stamp: stamp)
            }
        }
        return try Cache(
            configuration.cache, clock: clock, weigher: weigher, stamp: { settled.value },
            onEviction: hook)
    }

    func partition(of key: [UInt8]) -> ViewPartition { partitions[topic.partition(of: key)] }

    var statistics: CachedViewStatistics {
        var statistics = counts.withLock { $0 }
        statistics.memory = cache.statistics
        statistics.knownKeys = partitions.reduce(0) { $0 + $1.keyCount }
        statistics.pendingRecords = partitions.reduce(0) { $0 + $1.pendingCount }
        if let tier { statistics.disk = tier.statistics }
        return statistics
    }

    func count(_ change: (inout CachedViewStatistics) -> Void) { counts.withLock { change(&$0) } }

    // MARK: Following the log

    /// Applies a partition's records as they come, until the log is closed or the task cancelled.
    func follow(_ place: ViewPartition) async {
        var pause = Self.leastPause
        while !Task.isCancelled, !place.log.isClosed {
            do throws(LogError) {
                if try await step(place) { continue }
                place.fail(nil)
                pause = Self.leastPause
                await place.log.waitForRecords(
                    at: place.appliedOffset, isolation: configuration.isolation,
                    truncations: place.truncationCount)
            } catch {
                if error.code == .closed { break }
                if recover(from: error, in: place) { continue }
                // Nothing is served of a partition whose changes cannot be read.
                place.fail(DatabaseError(error, "a view of \(place.place)"))
                // Ends early where the task is cancelled.
                try? await clock.sleep(for: pause)
                pause = min(pause * 2, Self.longestPause)
            }
        }
        place.end()
    }

    /// Applies what is there; false where there is no more for now.
    private func step(_ place: ViewPartition) async throws(LogError) -> Bool {
        if let cut = place.followTruncations() { reset(place, cutTo: cut) }
        let (offset, truncations) = (place.appliedOffset, place.truncationCount)
        let end = place.log.end(for: configuration.isolation)
        let batches = try await place.log.read(
            from: offset, maximumBytes: Self.readBytes, isolation: configuration.isolation)
        // What was read may be what took the place of records that were applied.
        guard place.log.truncations.count == truncations else { return true }
        if batches.isEmpty {
            // Up to there was nothing for this reader: markers, or what was aborted.
            place.publish(end)
            return place.log.end(for: configuration.isolation) > end
        }
        for batch in batches {
            if let writeBehind = source.writeBehind {
                await place.waitForRoom(
                    records: writeBehind.maximumPendingRecords,
                    bytes: writeBehind.maximumPendingBytes)
                if Task.isCancelled { return false }
                // The wait was long enough for a cut.
                guard place.log.truncations.count == truncations else { return true }
            }
            try apply(batch, to: place)
        }
        return true
    }

    private func apply(_ batch: RecordBatch, to place: ViewPartition) throws(LogError) {
        do throws(LogError) {
            var records = batch.isControl ? nil : try RecordReader(batch)
            while let record = try records?.next() {
                guard record.offset >= place.appliedOffset, let key = record.key else { continue }
                apply(record, key, leaderEpoch: batch.leaderEpoch, to: place)
            }
        } catch {
            // Nothing but this batch is lost with it.
            var error = error
            error.resumeOffset = batch.lastOffset + 1
            throw error
        }
        place.publish(batch.lastOffset + 1)
    }

    private func apply(
        _ record: StoredRecord, _ key: [UInt8], leaderEpoch: Int32, to place: ViewPartition
    ) {
        count { $0.appliedRecords += 1 }
        changes.withLock { changes in
            let change = changes.begin(StableHash.hash(key))
            let isWritten = place.note(
                record, key: key, leaderEpoch: leaderEpoch, for: source.kind)
            tier?.forget(key)
            // The writer's own record, and nobody else's that lies behind it: records come in order.
            if isWritten, let value = record.value {
                // Of one that is too heavy nothing is kept, as after an invalidation.
                do throws(CacheError) { try cache.insert(value, for: key) } catch {
                    count { $0.memory.tooHeavyFills += 1 }
                }
            } else {
                cache.invalidate(key)
            }
            settledChange.value = change
        }
    }

    /// Goes on behind what cannot be read, with everything forgotten, where that is enough: the log has
    /// given up records, or they only say which keys have changed.
    private func recover(from error: LogError, in place: ViewPartition) -> Bool {
        if error.code == .offsetOutOfRange {
            let isBehind = place.appliedOffset < place.log.startOffset
            if isBehind { reset(place, cutTo: nil) }
            return isBehind
        }
        guard case .origin = source.kind, let next = error.resumeOffset,
            next > place.appliedOffset
        else { return false }
        forgetAll()
        place.publish(next)
        return true
    }

    /// Begins anew with what the log holds: it was cut, or has given up records that were not applied.
    private func reset(_ place: ViewPartition, cutTo cut: Int64?) {
        let logStart = place.log.startOffset
        let start: Int64
        switch source.kind {
        case .latestRecord: start = logStart
        case .origin: start = place.log.end(for: configuration.isolation)
        case .writtenBehind:
            // The origin has what came before.
            let next = min(place.firstPendingOffset ?? .max, place.appliedOffset, cut ?? .max)
            if next < logStart { count { $0.unwrittenOffsets += Int(logStart - next) } }
            start = max(logStart, next)
        }
        // Nothing is claimed that was not forgotten yet.
        place.reset(to: min(start, place.appliedOffset))
        forgetAll()
        place.publish(start)
    }

    private func forgetAll() {
        count { $0.resets += 1 }
        changes.withLock { changes in
            let change = changes.beginAll()
            tier?.forgetAll()
            cache.invalidateAll()
            settledChange.value = change
        }
    }

    // MARK: The tier

    /// Takes what left memory to the disk, unless it may be out of date.
    func demote(_ key: [UInt8], _ value: [UInt8], stamp: UInt64) async {
        guard let tier else { return }
        let place = partition(of: key)
        changes.withLock { changes in
            guard changes.isUnchanged(StableHash.hash(key), since: stamp) else {
                return tier.countRefusal()
            }
            tier.admit(key, value, partition: place.partition.number, offset: place.appliedOffset)
        }
        if tier.isSealDue { await seal(tier) }
    }

    /// Takes all that is in memory to the disk, when nothing is applied any more.
    func demoteAll() async {
        guard let tier else { return }
        var values: [(key: [UInt8], value: [UInt8])] = []
        cache.visit { values.append((key: $0, value: $1)) }
        for (key, value) in values {
            let place = partition(of: key)
            tier.admit(key, value, partition: place.partition.number, offset: place.appliedOffset)
            if tier.isSealDue { await seal(tier) }
        }
        await seal(tier)
    }

    /// Writes the entries that wait into a block, and then which of all are true, and up to where.
    private func seal(_ tier: DiskTier) async {
        await tier.turn.withLock {
            await tier.writeBlock()
            await commit(tier)
        }
    }

    private func commit(_ tier: DiskTier) async {
        let truncations = partitions.map(\.truncationCount)
        let (offsets, live) = changes.withLock { _ in
            (partitions.map(\.appliedOffset), tier.liveEntries())
        }
        var positions: [LogPosition] = []
        for (place, offset) in zip(partitions, offsets) {
            do throws(LogError) {
                // What a power cut could take away must not be what the tier says.
                if offset > place.partition.durableOffset { try await place.log.flush() }
            } catch { return tier.note(failure: "partition \(place.place): \(error)") }
            positions.append(await place.log.position(at: offset))
        }
        // What was looked up may be of another history than the entries.
        guard partitions.map({ $0.log.truncations.count }) == truncations else { return }
        await tier.commit(live, positions)
    }
}

/// What the eviction hook of a cache needs, which is made before its view.
private final class Demotion: Sendable {
    let core = Mutex<WeakCore?>(nil)
}

private struct WeakCore: Sendable {
    weak var core: ViewCore?
}

/// A number that one writes and many read.
final class SharedCounter: Sendable {
    private let number = Atomic<UInt64>(0)

    var value: UInt64 {
        get { number.load(ordering: .acquiring) }
        set { number.store(newValue, ordering: .releasing) }
    }
}
