import CordwoodStorage
import Synchronization

/// The sealed segments that are mapped: the least recently read one is let go when there are too
/// many, or when their indexes take too much memory.
///
/// One for all logs of a database. A segment is opened by one reader while the others who want it
/// wait; no lock is held meanwhile. A reader keeps what it holds: a map lives until the last batch
/// that was read from it is released. At most ``maximumLoads`` segments are being opened at a time,
/// which bounds the descriptors; who comes later waits for a turn. Time indexes, which lookups by
/// time alone need, are kept beside the maps, within the same bound once more.
public final class SegmentCache: Sendable {
    typealias Outcome = Result<OpenedSegment, LogError>
    /// Names a segment for as long as it lives in this process.
    typealias Key = UInt64

    /// The most segments that stay mapped.
    public let maximumMaps: Int
    /// The most memory that the indexes of mapped segments take, and that time indexes take. The
    /// segment read last stays mapped even where its index alone is larger.
    public let maximumIndexBytes: Int
    /// How many segments are opened at the same time.
    static let maximumLoads = 16

    private let guarded = Mutex(Guarded())

    private struct Guarded {
        var recent = RecencyList<OpenedSegment>()
        var times = RecencyList<TimeIndex>()
        /// Those being opened, and who waits for each.
        var loading: [Key: [CheckedContinuation<Outcome?, Never>]] = [:]
        var loads = 0
        /// Who waits to open one.
        var turns: [CheckedContinuation<Void, Never>] = []
        var nextKey: Key = 1
        var counts = Counts()
    }

    /// What the cache has done.
    struct Counts: Equatable {
        var hits = 0
        var loads = 0
        var evictions = 0
        var timeLoads = 0
    }

    public init(maximumMaps: Int = 500, maximumIndexBytes: Int = 32 << 20) {
        precondition(maximumMaps > 0 && maximumIndexBytes > 0, "a cache holds something")
        self.maximumMaps = maximumMaps
        self.maximumIndexBytes = maximumIndexBytes
    }

    /// How many segments are mapped for readers to come.
    public var mapCount: Int { guarded.withLock { $0.recent.count } }
    /// How much memory their indexes take.
    public var indexBytes: Int { guarded.withLock { $0.recent.byteCount } }
    /// How much memory the time indexes take that lookups have used.
    public var timeIndexBytes: Int { guarded.withLock { $0.times.byteCount } }
    var counts: Counts { guarded.withLock { $0.counts } }

    func newKey() -> Key {
        guarded.withLock { guarded in
            defer { guarded.nextKey += 1 }
            return guarded.nextKey
        }
    }

    /// The segment of that key, opened by `load` where it is not mapped; after a failure the next
    /// reader tries again. O(1) where it is mapped.
    func open(
        _ key: Key, load: () async throws(LogError) -> OpenedSegment
    ) async throws(LogError) -> OpenedSegment {
        let mapped = guarded.withLock { guarded in
            let mapped = guarded.recent.use(key)
            if mapped != nil { guarded.counts.hits += 1 }
            return mapped
        }
        if let mapped { return mapped }
        if let outcome = await joinLoad(of: key) { return try outcome.get() }
        await waitForTurn()
        let outcome: Outcome
        do throws(LogError) { outcome = .success(try await load()) } catch {
            outcome = .failure(error)
        }
        finishLoad(of: key, outcome)
        return try outcome.get()
    }

    /// The time index of the segment of that key, made by `load` where it is not in memory. Who wants
    /// it meanwhile loads it, too. O(1) where it is in memory.
    func times(
        _ key: Key, load: () async throws(LogError) -> TimeIndex
    ) async throws(LogError) -> TimeIndex {
        if let known = guarded.withLock({ $0.times.use(key) }) { return known }
        let loaded = try await load()
        guarded.withLock { guarded in
            guarded.counts.timeLoads += 1
            guarded.times.insert(loaded, key, byteCount: loaded.byteCount)
            while guarded.times.byteCount > maximumIndexBytes,
                guarded.times.removeOldest() != nil
            {}
        }
        return loaded
    }

    /// Lets go of a segment that nobody will read again.
    func remove(_ key: Key) {
        // Unmapped when the lock is free.
        _ = guarded.withLock { ($0.recent.remove(key), $0.times.remove(key)) }
    }

    /// What another reader's opening came to; nil for the one who has to open the segment.
    private func joinLoad(of key: Key) async -> Outcome? {
        await withCheckedContinuation { continuation in
            let (isReady, outcome) = guarded.withLock { guarded -> (Bool, Outcome?) in
                if let mapped = guarded.recent.use(key) { return (true, .success(mapped)) }
                if guarded.loading[key] == nil {
                    guarded.loading[key] = []
                    return (true, nil)
                }
                guarded.loading[key]?.append(continuation)
                return (false, nil)
            }
            if isReady { continuation.resume(returning: outcome) }
        }
    }

    private func waitForTurn() async {
        await withCheckedContinuation { continuation in
            let isReady = guarded.withLock { guarded in
                guard guarded.loads < Self.maximumLoads else {
                    guarded.turns.append(continuation)
                    return false
                }
                guarded.loads += 1
                return true
            }
            if isReady { continuation.resume() }
        }
    }

    private func finishLoad(of key: Key, _ outcome: Outcome) {
        let (waiting, next, evicted) = guarded.withLock { guarded in
            guarded.counts.loads += 1
            var evicted: [OpenedSegment] = []
            if case .success(let opened) = outcome {
                guarded.recent.insert(opened, key, byteCount: opened.indexBytes)
                while guarded.recent.count > maximumMaps
                    || guarded.recent.byteCount > maximumIndexBytes && guarded.recent.count > 1,
                    let oldest = guarded.recent.removeOldest()
                { evicted.append(oldest) }
            }
            guarded.counts.evictions += evicted.count
            // The turn goes to whoever waits, or becomes free.
            let next = guarded.turns.isEmpty ? nil : guarded.turns.removeFirst()
            if next == nil { guarded.loads -= 1 }
            return (guarded.loading.removeValue(forKey: key) ?? [], next, evicted)
        }
        // Maps are let go outside the lock.
        withExtendedLifetime(evicted) {}
        next?.resume()
        for waiter in waiting { waiter.resume(returning: outcome) }
    }
}

/// A sealed segment in memory: the mapped file and its offset index.
struct OpenedSegment: Sendable {
    var block: MemoryBlock
    var index: OffsetIndex
    /// Where reading ends: the seal, but for its chain where that cannot be continued over damage.
    var end: SegmentCursor
    /// What was wrong, where no record is lost: in the file's header, or in the index, which was
    /// then made anew.
    var problems: [String] = []

    /// The memory that the index takes.
    var indexBytes: Int { index.entries.capacity * MemoryLayout<OffsetIndex.Entry>.stride }
}
