public import Synchronization

/// The shards of a cache, each in its lock, side by side in memory.
///
/// Pointers, because an array cannot hold values that must not be copied, and an object for each would
/// cost a count of references with every lookup. Made and freed with the cache; the locks say who may
/// touch what they hold, which is what `@unchecked Sendable` stands on.
@usableFromInline
final class ShardArray<Key: Hashable & Sendable, Value: Sendable>:
    @unchecked Sendable
{
    @usableFromInline let base: UnsafeMutablePointer<Mutex<Shard<Key, Value>>>
    @usableFromInline let count: Int
    /// What an entry may weigh at most.
    let leastCapacity: Int

    init(_ configuration: CacheConfiguration) {
        count = configuration.shardCount
        leastCapacity = configuration.capacity / count
        base = .allocate(capacity: count)
        var random = SystemRandomNumberGenerator()
        for index in 0..<count {
            // The first ones take what division leaves.
            let more = index < configuration.capacity % count ? 1 : 0
            (base + index).initialize(
                to: Mutex(
                    Shard(
                        capacity: leastCapacity + more,
                        freshness: Freshness(configuration, seed: random.next()))))
        }
    }

    deinit {
        base.deinitialize(count: count)
        base.deallocate()
    }

    /// Lends the shard that a hash belongs to. The low half of the hash is for the shard's own table.
    @inlinable func withShard<Result: Sendable>(
        _ hash: Int, _ body: (inout Shard<Key, Value>) -> Result
    ) -> Result {
        let high = UInt64(UInt(bitPattern: hash)) >> 32
        return withShard(at: Int((high &* UInt64(count)) >> 32), body)
    }

    @inlinable func withShard<Result: Sendable>(
        at index: Int, _ body: (inout Shard<Key, Value>) -> Result
    ) -> Result {
        base[index].withLock { shard in body(&shard) }
    }
}
