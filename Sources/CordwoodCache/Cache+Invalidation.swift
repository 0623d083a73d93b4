extension Cache {
    /// Forgets a key. A load of it that is on the way still answers those who wait for it, who asked
    /// before, but its value is not cached; whoever asks from now on begins another. O(1).
    public func invalidate(_ key: Key) {
        let hash = key.hashValue
        let departures = shards.withShard(hash) { shard in
            var departures = newDepartures()
            shard.overtake(key)
            if let slot = shard.slab.find(key, UInt32(truncatingIfNeeded: hash)) {
                shard.invalidate(slot, &departures)
            }
            return departures
        }
        release(departures)
    }

    /// Forgets every key that was written or is being loaded with `tag`. O(shards + keys of the tag +
    /// loads on the way).
    public func invalidate(tag: String) {
        invalidate(slots: { $0.tags.slots(of: tag) }, flights: { $1.tags.contains(tag) })
    }

    /// Forgets every key for which `matches` holds. Shard after shard, so that a key that is written
    /// meanwhile may stay. O(entries), under the locks: `matches` must be quick and must not use the cache.
    public func invalidate(where matches: (Key) -> Bool) {
        invalidate(
            slots: { shard in
                var slots: [Int] = []
                shard.slab.visit { slot, key in if matches(key) { slots.append(slot) } }
                return slots
            }, flights: { key, _ in matches(key) })
    }

    /// Forgets everything. O(entries).
    public func invalidateAll() { invalidate { _ in true } }

    private func invalidate<Slots: Sequence<Int>>(
        slots: (borrowing Shard<Key, Value>) -> Slots, flights: (Key, Flight<Value>) -> Bool
    ) {
        for index in 0..<shards.count {
            let departures = shards.withShard(at: index) { shard in
                var departures = newDepartures()
                for (key, flight) in shard.flights where flights(key, flight) {
                    flight.isOvertaken = true
                    shard.flights[key] = nil
                }
                for slot in slots(shard) { shard.invalidate(slot, &departures) }
                return departures
            }
            release(departures)
        }
    }
}

extension Cache where Key: StringProtocol {
    /// Forgets every key that begins with `prefix`, Unicode scalar by scalar. O(entries): for groups of
    /// keys that are known beforehand a tag is quicker.
    public func invalidate(prefix: some StringProtocol) {
        invalidate { $0.unicodeScalars.starts(with: prefix.unicodeScalars) }
    }
}
