/// What a reader who missed is to do.
enum Joining<Value: Sendable>: Sendable {
    /// Return what was loaded since it missed.
    case cached(Value?)
    /// Start the load, and wait in this place.
    case began(Flight<Value>, Int)
    /// Wait in this place.
    case joined(Flight<Value>, Int)
}

extension Shard {
    /// Looks once more, since the load that a reader missed may have ended by now, and takes a place.
    mutating func join(
        _ key: Key, _ hash: Int, _ tags: [String], _ clock: CacheClock
    ) -> Joining<Value> {
        if let slot = slab.find(key, UInt32(truncatingIfNeeded: hash)) {
            let entry = slab.entries[slot]
            if entry.expiry == .max
                || freshness.state(of: entry, at: clock.now(), &random) != .expired
            {
                return .cached(entry.value)
            }
        }
        let (flight, isNew) = flight(for: key, tags: tags, isRefresh: false)
        return isNew ? .began(flight, flight.join()) : .joined(flight, flight.join())
    }

    /// The load of `key` that is on the way, or a new one.
    mutating func flight(
        for key: Key, tags: [String], isRefresh: Bool
    ) -> (Flight<Value>, isNew: Bool) {
        if let flight = flights[key] { return (flight, false) }
        let flight = Flight<Value>(tags: tags, isRefresh: isRefresh)
        flights[key] = flight
        statistics.loads += 1
        return (flight, true)
    }

    /// Forgets a flight, unless another one has its place.
    mutating func remove(_ flight: Flight<Value>, of key: Key) {
        if flights[key] === flight { flights[key] = nil }
    }

    /// Caches what was loaded, in place of what there was: a value, or an absence where those are
    /// remembered. Without a weight it only removes what it replaces.
    mutating func fill(
        _ key: Key, _ value: Value?, _ hash: Int, _ weight: UInt32?, _ loadNanoseconds: Int64,
        tags: [String], at now: Int64, _ departures: inout Departures<Key, Value>
    ) {
        if let weight, value != nil || freshness.negativeLifetime != nil {
            insert(
                key, value, hash, weight, loadNanoseconds: loadNanoseconds, tags: tags, at: now,
                &departures)
        } else if let slot = slab.find(key, UInt32(truncatingIfNeeded: hash)) {
            invalidate(slot, &departures)
        }
    }

    /// Lets a load of `key` that is on the way end without being cached, and nobody else wait for it.
    @usableFromInline mutating func overtake(_ key: Key) {
        if flights.isEmpty { return }
        flights.removeValue(forKey: key)?.isOvertaken = true
    }
}
