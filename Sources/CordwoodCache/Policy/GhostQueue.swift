/// The hashes of the entries that left the small queue last: whoever comes back while it is remembered
/// goes into the main queue.
///
/// A ring of 32-bit hashes and a table of positions. What comes back leaves the table at once and the
/// ring later: the ring has a third more room than is remembered, so that packing it takes O(1) an
/// insertion, amortised. Two keys with one hash count as the same, which only places an entry wrongly: 1
/// in 4,000 at a million entries a shard.
@frozen @usableFromInline struct GhostQueue: ~Copyable {
    @usableFromInline var ring: UnsafeMutablePointer<UInt32>
    @usableFromInline var capacity: Int
    /// Where the oldest is, and how many places are in use.
    @usableFromInline var first = 0
    @usableFromInline var used = 0
    @usableFromInline var table = SlotTable()

    @inlinable init() {
        capacity = 16
        ring = .allocate(capacity: 16)
    }

    @inlinable deinit { ring.deallocate() }

    /// How many hashes are remembered.
    @inlinable var count: Int { table.count }

    /// Remembers a hash, and forgets the oldest ones beyond `limit`.
    @inlinable mutating func insert(_ hash: UInt32, limit: Int) {
        let limit = max(1, min(limit, SlotTable.maximumSlots / 2))
        _ = remove(hash)
        while count >= limit { dropFirst() }
        if used == capacity {
            pack(into: max(capacity, limit + limit / 3 + 1))
        }
        let position = wrapped(first + used)
        ring[position] = hash
        used += 1
        let ring = ring
        table.insert(position, hash) { ring[$0] }
    }

    /// Forgets a hash; false where it is not remembered.
    @inlinable mutating func remove(_ hash: UInt32) -> Bool {
        let ring = ring
        guard let position = table.find(hash, where: { ring[$0] == hash }) else { return false }
        table.remove(position, hash) { ring[$0] }
        return true
    }

    /// Frees the oldest place, of a hash that may have left the table.
    @inlinable mutating func dropFirst() {
        let (position, ring) = (first, ring)
        let hash = ring[position]
        if table.find(hash, where: { $0 == position }) != nil {
            table.remove(position, hash) { ring[$0] }
        }
        first = wrapped(first + 1)
        used -= 1
    }

    /// Moves the hashes that are remembered into another ring, oldest first.
    @inlinable mutating func pack(into newCapacity: Int) {
        let packed = UnsafeMutablePointer<UInt32>.allocate(capacity: newCapacity)
        var newTable = SlotTable()
        var newUsed = 0
        for offset in 0..<used {
            let position = wrapped(first + offset)
            let hash = ring[position]
            guard table.find(hash, where: { $0 == position }) != nil else { continue }
            packed[newUsed] = hash
            newTable.insert(newUsed, hash) { packed[$0] }
            newUsed += 1
        }
        ring.deallocate()
        (ring, capacity, first, used) = (packed, newCapacity, 0, newUsed)
        table = newTable
    }

    @inlinable func wrapped(_ position: Int) -> Int {
        position >= capacity ? position - capacity : position
    }
}
