/// One of the two queues of entries: its ends and its sums. The links lie in the entries.
@frozen @usableFromInline struct EntryQueue {
    @usableFromInline var oldest: UInt32 = .max
    @usableFromInline var newest: UInt32 = .max
    @usableFromInline var count = 0
    @usableFromInline var weight = 0

    @inlinable init() {}

    /// Puts an entry that is in no queue at the new end.
    @inlinable mutating func append<Key, Value>(
        _ slot: Int, of entries: UnsafeMutablePointer<Entry<Key, Value>>
    ) {
        entries[slot].older = newest
        entries[slot].newer = .max
        if newest == .max {
            oldest = UInt32(slot)
        } else {
            entries[Int(newest)].newer = UInt32(slot)
        }
        newest = UInt32(slot)
        count += 1
        weight += Int(entries[slot].weight)
    }

    /// Takes out an entry that is in this queue.
    @inlinable mutating func remove<Key, Value>(
        _ slot: Int, of entries: UnsafeMutablePointer<Entry<Key, Value>>
    ) {
        let (older, newer) = (entries[slot].older, entries[slot].newer)
        if older == .max { oldest = newer } else { entries[Int(older)].newer = newer }
        if newer == .max { newest = older } else { entries[Int(newer)].older = older }
        count -= 1
        weight -= Int(entries[slot].weight)
    }
}
