/// A part of a cache with a capacity of its own, by S3-FIFO: new entries go into a small queue of a
/// tenth of the capacity, from which those that were hit twice move to the main queue and the others
/// leave, remembered by their hash; those that come back while remembered go into the main queue at
/// once. The main queue gives an entry another round for each hit, up to three. A hit changes two bits.
///
/// Yang, Zhang, Qiu, Yue and Rashmi, "FIFO queues are all you need for cache eviction" (SOSP 2023).
///
/// `ShardArray` says who may read and who may write.
@frozen @usableFromInline struct Shard<Key: Hashable & Sendable, Value: Sendable>: ~Copyable {
    @usableFromInline var slab: EntrySlab<Key, Value>
    @usableFromInline var ghosts = GhostQueue()
    @usableFromInline let capacity: Int
    @usableFromInline let smallCapacity: Int
    /// Until the first eviction, entries that the small queue has no room for go into the main queue,
    /// which would otherwise stay empty until they were hit.
    @usableFromInline var hasEvicted = false
    @usableFromInline var statistics = CacheStatistics()
    @usableFromInline let freshness: Freshness
    @usableFromInline var random: UniformRandom
    @usableFromInline var tags = TagIndex()
    /// Loads on the way whose result is still wanted.
    @usableFromInline var flights: [Key: Flight<Value>] = [:]

    init(capacity: Int, freshness: Freshness, random: UniformRandom) {
        self.capacity = capacity
        // No entry weighs less than 1.
        slab = EntrySlab(limit: min(capacity, SlotTable.maximumSlots))
        smallCapacity = max(1, capacity / 10)
        self.freshness = freshness
        self.random = random
    }

    /// Looks a key up and counts the hit or the miss; beside other readers.
    @inlinable func look(
        _ key: Key, _ hash: Int, _ clock: CacheClock, _ reader: inout ReaderState
    ) -> Lookup<Value> {
        guard let slot = slab.find(key, UInt32(truncatingIfNeeded: hash)) else {
            reader.misses += 1
            return .missing
        }
        let entry = slab.entries + slot
        var isDue = false
        // Entries that never expire cost no look at the clock.
        if entry.pointee.expiry != .max {
            switch freshness.state(of: entry.pointee, at: clock.now(), &reader.random) {
            case .fresh: break
            case .due: isDue = true
            case .expired:
                reader.misses += 1
                return .expired
            }
        }
        reader.hits += 1
        slab.touch(slot)
        return isDue ? .due(entry.pointee.value) : .found(entry.pointee.value)
    }

    /// Takes out what a reader found to be over, unless it was written anew since.
    @usableFromInline mutating func expire(
        _ key: Key, _ hash: Int, at now: Int64, _ departures: inout Departures<Key, Value>
    ) {
        guard let slot = slab.find(key, UInt32(truncatingIfNeeded: hash)) else { return }
        guard freshness.state(of: slab.entries[slot], at: now, &random) == .expired else { return }
        statistics.expirations += 1
        depart(slot, .expired, &departures)
    }

    /// Puts a value that was written or loaded just now in place.
    @inlinable mutating func insert(
        _ key: Key, _ value: Value?, _ hash: Int, _ weight: UInt32, loadNanoseconds: Int64,
        tags: [String], at now: Int64, _ departures: inout Departures<Key, Value>
    ) {
        let entry = Entry(
            key: key, value: value, hash: UInt32(truncatingIfNeeded: hash), weight: weight,
            loadNanoseconds: Float(max(0, loadNanoseconds)),
            expiry: freshness.expiry(isAbsence: value == nil, at: now, &random))
        insert(entry, tags: tags, &departures)
    }

    /// Puts an entry in place, and makes room for it. The weight must not exceed the capacity.
    @inlinable mutating func insert(
        _ entry: consuming Entry<Key, Value>, tags newTags: [String],
        _ departures: inout Departures<Key, Value>
    ) {
        let weight = entry.weight
        let slot: Int
        if let present = slab.find(entry.key, entry.hash) {
            slot = present
            tags.remove(slot)
            departures.others.append(replace(slot, with: entry))
        } else {
            let isRemembered = ghosts.remove(entry.hash)
            while slab.weight + Int(weight) > capacity || slab.count == slab.limit {
                evict(&departures)
            }
            let toMain = isRemembered || !hasEvicted && slab.small.weight >= smallCapacity
            slot = slab.add(entry, toMain: toMain)
        }
        if !newTags.isEmpty { tags.insert(slot, newTags) }
        // Only a replacement that is heavier than what it replaced is left with too much.
        while slab.weight > capacity { evict(&departures) }
    }

    /// Takes an entry out that nobody may be served any more.
    @inlinable mutating func invalidate(_ slot: Int, _ departures: inout Departures<Key, Value>) {
        statistics.invalidations += 1
        tags.remove(slot)
        departures.others.append(slab.take(slot))
    }

    /// Returns the old entry. The new one keeps its place and its hits.
    @inlinable mutating func replace(
        _ slot: Int, with entry: consuming Entry<Key, Value>
    ) -> Entry<Key, Value> {
        slab.reweigh(slot, to: entry.weight)
        let place = slab.entries + slot
        let old = place.pointee
        entry.isInMain = old.isInMain
        entry.older = old.older
        entry.newer = old.newer
        place.pointee = entry
        return old
    }

    /// Evicts one entry. There must be one.
    @inlinable mutating func evict(_ departures: inout Departures<Key, Value>) {
        hasEvicted = true
        if slab.main.weight > capacity - smallCapacity || slab.small.count == 0 {
            evictFromMain(&departures)
        } else {
            evictFromSmall(&departures)
        }
    }

    /// Ends at the first entry that was not hit twice; where all were, moves all and evicts none.
    @inlinable mutating func evictFromSmall(_ departures: inout Departures<Key, Value>) {
        while slab.small.count > 0 {
            let slot = Int(slab.small.oldest)
            if slab.frequency(slot) >= 2 {
                slab.setFrequency(slot, 0)
                slab.moveToMain(slot)
            } else {
                ghosts.insert(slab.entries[slot].hash, limit: slab.main.count)
                statistics.evictions += 1
                depart(slot, .capacity, &departures)
                return
            }
        }
    }

    /// Passes each entry at most four times, since every pass takes one of its hits.
    @inlinable mutating func evictFromMain(_ departures: inout Departures<Key, Value>) {
        while slab.main.count > 0 {
            let slot = Int(slab.main.oldest)
            let frequency = slab.frequency(slot)
            if frequency > 0 {
                slab.setFrequency(slot, frequency - 1)
                slab.moveToMain(slot)
            } else {
                statistics.evictions += 1
                depart(slot, .capacity, &departures)
                return
            }
        }
    }

    @inlinable mutating func depart(
        _ slot: Int, _ cause: EvictionCause, _ departures: inout Departures<Key, Value>
    ) {
        tags.remove(slot)
        let entry = slab.take(slot)
        if let value = entry.value { departures.evicted.append((entry.key, value, cause)) }
    }
}

/// What a lookup found.
@frozen @usableFromInline enum Lookup<Value: Sendable>: Sendable {
    /// A value, or nil where it is known that there is none.
    case found(Value?)
    /// The same, and this reader is to have it renewed.
    case due(Value?)
    /// One whose time is over, to be taken out.
    case expired
    case missing
}
