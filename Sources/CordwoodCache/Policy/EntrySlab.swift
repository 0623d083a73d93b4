public import Synchronization

/// The entries of a shard in one array, with a list of free slots, a table by hash, and two queues.
///
/// Pointers, because an array of values that are optional would hold and check more than they need. A
/// slot is in use from `add` to `take`; the table and the queues name only slots in use.
@frozen @usableFromInline struct EntrySlab<Key: Hashable & Sendable, Value: Sendable>: ~Copyable {
    @usableFromInline var entries: UnsafeMutablePointer<Entry<Key, Value>>
    /// How often each was hit since it was added or moved, up to 3. Readers change these side by side, and
    /// a hit that another one overwrites is no loss; all else here changes under all locks.
    @usableFromInline var frequencies: UnsafeMutablePointer<Atomic<UInt8>>
    @usableFromInline var capacity = 0
    /// How many entries there can be.
    @usableFromInline let limit: Int
    /// Slots from here on were never in use.
    @usableFromInline var end = 0
    /// Slots that are free again: a stack of numbers.
    @usableFromInline var free: [UInt32] = []
    @usableFromInline var table = SlotTable()
    @usableFromInline var small = EntryQueue()
    @usableFromInline var main = EntryQueue()

    /// A slab for at most `limit` entries.
    @inlinable init(limit: Int) {
        entries = .allocate(capacity: 0)
        frequencies = .allocate(capacity: 0)
        self.limit = limit
    }

    @inlinable deinit {
        // Every slot in use is in a queue.
        for var slot in [small.oldest, main.oldest] {
            while slot != .max {
                let next = entries[Int(slot)].newer
                (entries + Int(slot)).deinitialize(count: 1)
                slot = next
            }
        }
        entries.deallocate()
        frequencies.deallocate()
    }

    @inlinable var count: Int { table.count }
    @inlinable var weight: Int { small.weight + main.weight }

    @inlinable func find(_ key: Key, _ hash: UInt32) -> Int? {
        let entries = entries
        return table.find(hash) { entries[$0].hash == hash && entries[$0].key == key }
    }

    @inlinable func frequency(_ slot: Int) -> UInt8 {
        (frequencies + slot).pointee.load(ordering: .relaxed)
    }

    @inlinable func setFrequency(_ slot: Int, _ frequency: UInt8) {
        (frequencies + slot).pointee.store(frequency, ordering: .relaxed)
    }

    /// Counts a hit. What is hit often is only read, so that its line can be in every processor's cache.
    @inlinable func touch(_ slot: Int) {
        let frequency = frequency(slot)
        if frequency < 3 { setFrequency(slot, frequency + 1) }
    }

    /// Shows every entry's slot and key.
    func visit(_ body: (Int, Key) -> Void) {
        for var slot in [small.oldest, main.oldest] {
            while slot != .max {
                body(Int(slot), entries[Int(slot)].key)
                slot = entries[Int(slot)].newer
            }
        }
    }

    /// Adds an entry at the new end of a queue; its key must not be there.
    @discardableResult
    @inlinable mutating func add(_ entry: consuming Entry<Key, Value>, toMain: Bool) -> Int {
        let slot: Int
        if let last = free.popLast() {
            slot = Int(last)
        } else {
            if end == capacity { grow() }
            slot = end
            end += 1
        }
        let hash = entry.hash
        (entries + slot).initialize(to: entry)
        setFrequency(slot, 0)
        let entries = entries
        table.insert(slot, hash) { entries[$0].hash }
        append(slot, toMain: toMain)
        return slot
    }

    /// Takes an entry out.
    @inlinable mutating func take(_ slot: Int) -> Entry<Key, Value> {
        unlink(slot)
        let entries = entries
        table.remove(slot, entries[slot].hash) { entries[$0].hash }
        free.append(UInt32(slot))
        return (entries + slot).move()
    }

    /// Moves an entry to the new end of the main queue.
    @inlinable mutating func moveToMain(_ slot: Int) {
        unlink(slot)
        append(slot, toMain: true)
    }

    /// Changes an entry's weight.
    @inlinable mutating func reweigh(_ slot: Int, to weight: UInt32) {
        let difference = Int(weight) - Int(entries[slot].weight)
        entries[slot].weight = weight
        if entries[slot].isInMain { main.weight += difference } else { small.weight += difference }
    }

    @inlinable mutating func append(_ slot: Int, toMain: Bool) {
        entries[slot].isInMain = toMain
        if toMain { main.append(slot, of: entries) } else { small.append(slot, of: entries) }
    }

    @inlinable mutating func unlink(_ slot: Int) {
        if entries[slot].isInMain {
            main.remove(slot, of: entries)
        } else {
            small.remove(slot, of: entries)
        }
    }

    @inlinable mutating func grow() {
        // By little, so that little is in use for nothing; never beyond what there can be.
        let wanted = min(limit, max(16, capacity + capacity / 8))
        let larger = UnsafeMutablePointer<Entry<Key, Value>>.allocate(capacity: wanted)
        // Only called when no slot is free, so that all of them are in use.
        larger.moveInitialize(from: entries, count: end)
        entries.deallocate()
        let more = UnsafeMutablePointer<Atomic<UInt8>>.allocate(capacity: wanted)
        for slot in 0..<wanted {
            (more + slot).initialize(to: Atomic(slot < end ? frequency(slot) : 0))
        }
        frequencies.deallocate()
        (entries, frequencies, capacity) = (larger, more, wanted)
    }
}
