/// A key, its value, and 36 bytes of what the policy needs with it. Entries lie in one array and name each
/// other by number, so that none is an object of its own.
@frozen @usableFromInline struct Entry<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    @usableFromInline var key: Key
    /// Nil where it is known that there is no value.
    @usableFromInline var value: Value?
    @usableFromInline var isInMain = false
    @usableFromInline var hash: UInt32
    /// Neighbours in the queue: older and newer. A free slot has the next free one in `newer`.
    @usableFromInline var older: UInt32 = .max
    @usableFromInline var newer: UInt32 = .max
    @usableFromInline var weight: UInt32
    /// How long loading took, in nanoseconds.
    @usableFromInline var loadNanoseconds: Float
    /// On the cache's clock; the largest number for never.
    @usableFromInline var expiry: Int64

    @inlinable init(
        key: Key, value: Value?, hash: UInt32, weight: UInt32, loadNanoseconds: Float, expiry: Int64
    ) {
        self.key = key
        self.value = value
        self.hash = hash
        self.weight = weight
        self.loadNanoseconds = loadNanoseconds
        self.expiry = expiry
    }
}

/// Why an entry left the cache.
public enum EvictionCause: Sendable, Hashable {
    /// Others needed its room.
    case capacity
    /// Its time was over when it was asked for.
    case expired
}

/// What left a shard. Values are released, and reported, when no lock is held: releasing one may run
/// any code.
@frozen @usableFromInline struct Departures<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    /// Absences are not listed.
    @usableFromInline var evicted: [(key: Key, value: Value, cause: EvictionCause)] = []
    @usableFromInline var others: [Entry<Key, Value>] = []
    /// What the cache's stamp said under the lock, before anything left.
    @usableFromInline let stamp: UInt64

    @inlinable init(stamp: UInt64) { self.stamp = stamp }
}
