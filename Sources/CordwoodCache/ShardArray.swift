public import Synchronization

/// The shards of a cache and their locks. Each shard has as many locks as there are processors, up to 16: a
/// reader takes the one of its thread, whose cache line its processor most likely has, and a writer takes
/// all of them. With one lock for all, two processors that read would hand its line to and fro and be
/// slower together than one alone.
///
/// Pointers, because an array cannot hold values that must not be copied, and an object for each would
/// cost a count of references with every lookup. The locks say who may touch what, which is what
/// `@unchecked Sendable` stands on.
@usableFromInline
final class ShardArray<Key: Hashable & Sendable, Value: Sendable>:
    @unchecked Sendable
{
    @usableFromInline let base: UnsafeMutablePointer<Shard<Key, Value>>
    /// Those of the first shard, then those of the next.
    @usableFromInline let locks: UnsafeMutablePointer<ReaderLock>
    @usableFromInline let count: Int
    @usableFromInline let locksPerShard: Int
    /// What an entry may weigh at most.
    let leastCapacity: Int

    private static var maximumLocks: Int { 16 }

    init(_ configuration: CacheConfiguration) {
        count = configuration.shardCount
        locksPerShard = min(Self.maximumLocks, ThreadNumber.processorCount)
        leastCapacity = configuration.capacity / count
        base = .allocate(capacity: count)
        locks = .allocate(capacity: count * locksPerShard)
        var random = SystemRandomNumberGenerator()
        for index in 0..<count {
            // The first ones take what division leaves.
            let more = index < configuration.capacity % count ? 1 : 0
            (base + index).initialize(
                to: Shard(
                    capacity: leastCapacity + more, freshness: Freshness(configuration),
                    random: UniformRandom(seed: random.next())))
            for lock in 0..<locksPerShard {
                (locks + index * locksPerShard + lock).initialize(
                    to: ReaderLock(ReaderState(random: UniformRandom(seed: random.next()))))
            }
        }
    }

    deinit {
        base.deinitialize(count: count)
        base.deallocate()
        locks.deinitialize(count: count * locksPerShard)
        locks.deallocate()
    }

    /// The shard that a hash belongs to, by its high half; the low half is for the shard's own table.
    @inlinable func index(of hash: Int) -> Int {
        let high = UInt64(UInt(bitPattern: hash)) >> 32
        return Int((high &* UInt64(count)) >> 32)
    }

    /// Lends the shard of a hash to be read, beside other readers.
    @inlinable func read<Result: Sendable>(
        _ hash: Int, _ body: (borrowing Shard<Key, Value>, inout ReaderState) -> Result
    ) -> Result {
        let index = index(of: hash)
        let lock = locks + (index * locksPerShard + ThreadNumber.current % locksPerShard)
        return lock.pointee.state.withLock { state in body(base[index], &state) }
    }

    /// Lends the shard of a hash to nobody else.
    @inlinable func withShard<Result: Sendable>(
        _ hash: Int, _ body: (inout Shard<Key, Value>) -> Result
    ) -> Result { withShard(at: index(of: hash), body) }

    @inlinable func withShard<Result: Sendable>(
        at index: Int, _ body: (inout Shard<Key, Value>) -> Result
    ) -> Result {
        withLocks(index * locksPerShard, locksPerShard) { body(&base[index]) }
    }

    /// Takes `count` locks in their order, which is the same for all writers.
    @inlinable func withLocks<Result: Sendable>(
        _ first: Int, _ count: Int, _ body: () -> Result
    ) -> Result {
        if count == 0 { return body() }
        return locks[first].state.withLock { _ in withLocks(first + 1, count - 1, body) }
    }

    /// What readers of all shards counted.
    func readerStatistics() -> CacheStatistics {
        var sum = CacheStatistics()
        for index in 0..<count * locksPerShard {
            locks[index].state.withLock { state in
                sum.hits += state.hits
                sum.misses += state.misses
            }
        }
        return sum
    }
}

/// What readers change: those of the same lock alone.
@usableFromInline struct ReaderState: Sendable {
    @usableFromInline var hits = 0
    @usableFromInline var misses = 0
    @usableFromInline var random: UniformRandom

    init(random: UniformRandom) { self.random = random }
}

/// A lock on cache lines of its own: two, since processors fetch them in pairs.
@usableFromInline struct ReaderLock: ~Copyable, Sendable {
    @usableFromInline let state: Mutex<ReaderState>
    private let padding = [10 of UInt64](repeating: 0)

    init(_ state: ReaderState) { self.state = Mutex(state) }
}
