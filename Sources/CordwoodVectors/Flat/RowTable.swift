/// From id to row: a hash table of row numbers alone, whose keys are read through the rows.
///
/// Open addressing with linear probing, at most three quarters full, grown by a quarter, so that a
/// row costs 5.3 to 6.7 bytes. Lookups take O(1) expected. Ids are hashed with a secret of the
/// table, so that a client that chooses ids cannot make them collide.
package struct RowTable: Sendable {
    package static let maximumRows = Int(UInt32.max) - 1
    private static let empty = UInt32.max

    private var slots: [UInt32] = []
    package private(set) var count = 0
    private let secret: (UInt64, UInt64) = (.random(in: .min ... .max), .random(in: .min ... .max))

    package init() {}

    package var bytesAllocated: Int { slots.capacity * MemoryLayout<UInt32>.stride }

    /// The row of `id`, or nil. `idOfRow` gives the id of any row in the table.
    package func row(of id: UInt64, idOfRow: (Int) -> UInt64) -> Int? {
        slot(of: id, idOfRow: idOfRow).map { Int(slots[$0]) }
    }

    /// Adds a row whose id is not in the table.
    package mutating func insert(_ id: UInt64, row: Int, idOfRow: (Int) -> UInt64) {
        if (count + 1) * 4 > slots.count * 3 { grow(idOfRow: idOfRow) }
        place(id, row: row)
        count += 1
    }

    /// Changes the row of an id that is in the table.
    mutating func move(_ id: UInt64, to row: Int, idOfRow: (Int) -> UInt64) {
        guard let slot = slot(of: id, idOfRow: idOfRow) else {
            preconditionFailure("id \(id) has a row but no slot")
        }
        slots[slot] = UInt32(row)
    }

    /// Removes an id, and returns the row that it had. Later entries of the same run move up, so
    /// that no probe meets a hole before its entry.
    mutating func remove(_ id: UInt64, idOfRow: (Int) -> UInt64) -> Int? {
        guard var hole = slot(of: id, idOfRow: idOfRow) else { return nil }
        let row = Int(slots[hole])
        var next = following(hole)
        while slots[next] != Self.empty {
            let home = home(of: idOfRow(Int(slots[next])))
            if distance(from: home, to: next) >= distance(from: hole, to: next) {
                slots[hole] = slots[next]
                hole = next
            }
            next = following(next)
        }
        slots[hole] = Self.empty
        count -= 1
        return row
    }

    private func slot(of id: UInt64, idOfRow: (Int) -> UInt64) -> Int? {
        guard count > 0 else { return nil }
        var slot = home(of: id)
        while slots[slot] != Self.empty {
            if idOfRow(Int(slots[slot])) == id { return slot }
            slot = following(slot)
        }
        return nil
    }

    private mutating func place(_ id: UInt64, row: Int) {
        var slot = home(of: id)
        while slots[slot] != Self.empty { slot = following(slot) }
        slots[slot] = UInt32(row)
    }

    private mutating func grow(idOfRow: (Int) -> UInt64) {
        let rows = slots
        slots = []
        slots.reserveCapacity(max(rows.count + rows.count / 4, 16))
        slots.append(
            contentsOf: repeatElement(Self.empty, count: max(rows.count + rows.count / 4, 16)))
        for row in rows where row != Self.empty { place(idOfRow(Int(row)), row: Int(row)) }
    }

    private func following(_ slot: Int) -> Int { slot + 1 == slots.count ? 0 : slot + 1 }

    /// Steps of a probe from one slot to another.
    private func distance(from start: Int, to end: Int) -> Int {
        end >= start ? end - start : end - start + slots.count
    }

    /// The slot where the probe for `id` starts: the hash as a fraction of the table, which serves
    /// tables of any size.
    private func home(of id: UInt64) -> Int {
        // The odd factors and shifts are those of the finaliser of MurmurHash3.
        var hash = id ^ secret.0
        hash = (hash ^ hash >> 33) &* 0xff51_afd7_ed55_8ccd
        hash = (hash ^ secret.1 ^ hash >> 33) &* 0xc4ce_b9fe_1a85_ec53
        hash ^= hash >> 33
        return Int(truncatingIfNeeded: hash.multipliedFullWidth(by: UInt64(slots.count)).high)
    }
}
