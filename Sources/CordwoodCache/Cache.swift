internal import Synchronization

/// A bounded cache in memory, by S3-FIFO in shards of their own locks, which are never held while a value
/// is loaded.
///
/// A hit takes one short lock of its thread, copies the value, and allocates nothing; it is O(1), and an
/// insertion is, amortised, with one lock for each processor. Each entry takes at most 64 bytes beside its
/// key and its value. All calls may come from any thread or task.
///
/// ```swift
/// var configuration = CacheConfiguration(capacity: 64 << 20)
/// configuration.timeToLive = .seconds(60)
/// let cache = try Cache<String, [UInt8]>(configuration) { key, value in key.utf8.count + value.count }
/// let page = try await cache.value(for: path) { path in try await origin.fetch(path) }
/// ```
///
/// Keys are hashed and compared under a shard's lock; weighers, loaders and hooks run without one. Loading
/// is in `value(for:tags:loading:)`, invalidation in `invalidate(_:)` and its siblings.
public final class Cache<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    public let configuration: CacheConfiguration

    @usableFromInline let shards: ShardArray<Key, Value>
    @usableFromInline let clock: CacheClock
    let weigher: (@Sendable (Key, Value) -> Int)?
    let reporter: EvictionReporter<Key, Value>?
    let stamp: (@Sendable () -> UInt64)?
    /// Loads that have not returned.
    let runningLoads = Atomic<Int>(0)

    /// - Parameters:
    ///   - clock: what time it is, for times to live, deadlines and the cost of loads.
    ///   - weigher: the weight of an entry, at least 1; called once a write. By default each entry
    ///     weighs 1.
    ///   - onEviction: told of every value that was evicted or found to be over, in the order of each
    ///     shard, one call after another, in a task of its own. Nothing waits for it.
    /// - Throws: ``CacheError/Code/invalidCapacity`` or ``CacheError/Code/invalidConfiguration``.
    public convenience init<C: Clock>(
        _ configuration: CacheConfiguration, clock: C = ContinuousClock(),
        weigher: (@Sendable (Key, Value) -> Int)? = nil,
        onEviction: (@Sendable (Key, Value, EvictionCause) async -> Void)? = nil
    ) throws(CacheError) where C.Duration == Duration {
        let hook = onEviction.map { onEviction in
            { @Sendable (key: Key, value: Value, cause: EvictionCause, _: UInt64) async in
                await onEviction(key, value, cause)
            }
        }
        try self.init(
            configuration, clock: clock, weigher: weigher, stamp: nil, onEviction: hook)
    }

    /// The same, for whoever must know when an entry was evicted: the hook is told what `stamp` said while
    /// the entry was in the cache for the last time. `stamp` runs under a shard's lock: it reads a number,
    /// no more.
    package init<C: Clock>(
        _ configuration: CacheConfiguration, clock: C,
        weigher: (@Sendable (Key, Value) -> Int)?, stamp: (@Sendable () -> UInt64)?,
        onEviction: (@Sendable (Key, Value, EvictionCause, UInt64) async -> Void)?
    ) throws(CacheError) where C.Duration == Duration {
        try configuration.validate()
        self.configuration = configuration
        shards = ShardArray(configuration)
        self.clock = CacheClock(clock)
        self.weigher = weigher
        self.stamp = stamp
        reporter = onEviction.map {
            EvictionReporter(limit: configuration.maximumPendingEvictions, hook: $0)
        }
    }

    /// The value that is cached for `key`; nil where there is none, or where its absence is. O(1).
    @inlinable public func value(for key: Key) -> Value? {
        switch look(key, key.hashValue) {
        case .found(let value), .due(let value): value
        case .expired, .missing: nil
        }
    }

    /// Caches a value in place of what there was. A load of the key that is on the way will not replace
    /// it. O(1), and one step for each entry that is evicted.
    ///
    /// - Parameter tags: what ``invalidate(tag:)`` may name.
    /// - Throws: ``CacheError/Code/entryTooHeavy`` or ``CacheError/Code/invalidWeight``; what was cached
    ///   for the key is gone then, since it is out of date.
    @inlinable
    public func insert(_ value: Value, for key: Key, tags: [String] = []) throws(CacheError) {
        let hash = key.hashValue
        let weight: UInt32
        do {
            weight = try self.weight(of: key, value)
        } catch {
            invalidate(key)
            throw error
        }
        let now = configuration.timeToLive == nil ? 0 : clock.now()
        let departures = shards.withShard(hash) { shard in
            var departures = newDepartures()
            shard.overtake(key)
            shard.insert(
                key, value, hash, weight, loadNanoseconds: 0, tags: tags, at: now, &departures)
            return departures
        }
        release(departures)
    }

    /// What the cache has done. O(shards).
    public var statistics: CacheStatistics {
        var sum = shards.readerStatistics()
        for index in 0..<shards.count {
            sum += shards.withShard(at: index) { shard in
                var statistics = shard.statistics
                statistics.entryCount = shard.slab.count
                statistics.weight = shard.slab.weight
                return statistics
            }
        }
        sum.unreportedEvictions = reporter?.dropped ?? 0
        return sum
    }

    @inlinable func look(_ key: Key, _ hash: Int) -> Lookup<Value> {
        let clock = clock
        let found = shards.read(hash) { shard, reader in shard.look(key, hash, clock, &reader) }
        guard case .expired = found else { return found }
        expire(key, hash)
        return .missing
    }

    @usableFromInline func expire(_ key: Key, _ hash: Int) {
        let now = clock.now()
        let departures = shards.withShard(hash) { shard in
            var departures = newDepartures()
            shard.expire(key, hash, at: now, &departures)
            return departures
        }
        release(departures)
    }

    /// Checks what the weigher says.
    @usableFromInline func weight(of key: Key, _ value: Value) throws(CacheError) -> UInt32 {
        let weight = weigher?(key, value) ?? 1
        guard weight >= 1 else {
            throw CacheError(.invalidWeight, "expected a weight of 1 or more, found \(weight)")
        }
        let limit = min(shards.leastCapacity, Int(UInt32.max))
        guard weight <= limit else {
            throw CacheError(
                .entryTooHeavy,
                "expected a weight of at most \(limit), the part of one of \(shards.count) shards, "
                    + "found \(weight)")
        }
        return UInt32(weight)
    }

    /// Reports what was evicted; the values are released on return, without a lock.
    @usableFromInline func release(_ departures: Departures<Key, Value>) {
        if !departures.evicted.isEmpty { reporter?.report(departures) }
    }

    /// Where what leaves a shard is put. Called under its lock.
    @usableFromInline func newDepartures() -> Departures<Key, Value> {
        Departures(stamp: stamp?() ?? 0)
    }

    /// Every value that is cached, shard after shard, with its key. O(entries), under the locks.
    package func visit(_ body: (Key, Value) -> Void) {
        for index in 0..<shards.count {
            let values = shards.withShard(at: index) { shard in
                var values: [(Key, Value)] = []
                shard.slab.visit { slot, key in
                    if let value = shard.slab.entries[slot].value { values.append((key, value)) }
                }
                return values
            }
            // The caller's code runs without a lock.
            for (key, value) in values { body(key, value) }
        }
    }
}
