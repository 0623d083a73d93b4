/// The last offset of each key in the part of a log that a compaction pass looks at, in a fixed
/// amount of memory.
///
/// An open-addressing table of 24-byte slots, filled to ``loadFactor`` at most: a 128-bit keyed hash
/// in place of the key, and the offset. Slots of a run are ordered by their home (Robin Hood), so
/// that a key that is missing is known to be missing after a few steps however full the table is.
/// A full map ends a pass early: what it has not seen stays for the next one.
///
/// **Two keys of one hash** would be taken for one, and the older record be lost. Among n keys the
/// probability is below n²/2¹²⁹: 4e-26 for the five million keys of the default budget, less than
/// that of a memory error that no ECC sees; and since the hash is keyed anew in each pass, nobody
/// can prepare such keys. Comparing the keys themselves would take a random read of the log for
/// every record that has a predecessor, and keeping them here would leave the budget to the length
/// of keys. Kafka makes the same choice with MD5, which is not keyed.
///
/// Sendable because its one owner, a pass, uses it from one step at a time.
final class CompactionMap: @unchecked Sendable {
    /// How full the table may get: beyond, runs grow long
    /// (Kafka: `log.cleaner.io.buffer.load.factor`).
    static let loadFactor = 0.9
    static let slotByteCount = MemoryLayout<Slot>.stride

    /// `mark` is the offset + 1, so that zeroed memory is an empty table.
    private struct Slot {
        var low: UInt64 = 0
        var high: UInt64 = 0
        var mark: Int64 = 0
    }

    private let slots: UnsafeMutableBufferPointer<Slot>
    private let hash: KeyHash
    /// How many keys fit.
    let capacity: Int
    private(set) var count = 0
    /// Of no use but to ``touch(_:)``.
    private var touched: Int64 = 0

    /// A map of at most `byteBudget` bytes, and of no more slots than `expectedKeys` need. Holds at
    /// least one key.
    init(byteBudget: Int, expectedKeys: Int, hash: KeyHash) {
        precondition(byteBudget >= 0 && expectedKeys >= 0)
        let affordable = byteBudget / Self.slotByteCount
        let useful = Int((Double(expectedKeys) / Self.loadFactor).rounded(.up)) + 1
        // One slot always stays empty, so that every search ends.
        let slotCount = max(2, min(affordable, useful))
        capacity = max(1, Int(Double(slotCount) * Self.loadFactor))
        slots = .allocate(capacity: slotCount)
        slots.initialize(repeating: Slot())
        self.hash = hash
    }

    deinit { slots.deallocate() }

    /// The memory that the table takes.
    var byteCount: Int { slots.count * Self.slotByteCount }
    /// Whether a key that is not yet there would no longer fit.
    var isFull: Bool { count >= capacity }

    /// What stands for a key here. O(bytes).
    func hash(_ key: UnsafeRawBufferPointer) -> KeyHash.Value { hash.hash(key) }

    /// Brings the slots where keys belong into the cache; changes nothing.
    func touch(_ keys: [BatchKeys.Key]) {
        var sum: Int64 = 0
        for key in keys {
            guard let hash = key.hash else { continue }
            sum &+= slots[home(Slot(low: hash.low, high: hash.high))].mark
        }
        // Kept, or the loads would be left out.
        touched = sum
    }

    /// Notes that the key of a hash was written at `offset`, which replaces an earlier offset.
    /// Returns false, with nothing changed, where the key is new and the map is full. O(1).
    func put(_ value: KeyHash.Value, offset: Int64) -> Bool {
        var entry = Slot(low: value.low, high: value.high, mark: offset + 1)
        var index = home(entry)
        var distance = 0
        // Where the key is, or where it belongs.
        while slots[index].mark != 0 {
            let found = slots[index]
            if found.low == entry.low, found.high == entry.high {
                slots[index].mark = max(found.mark, entry.mark)
                return true
            }
            if self.distance(found, at: index) < distance { break }
            index = next(index)
            distance += 1
        }
        guard !isFull else { return false }
        count += 1
        // Those that are nearer to their homes make room.
        while slots[index].mark != 0 {
            if self.distance(slots[index], at: index) < distance {
                swap(&slots[index], &entry)
                distance = self.distance(entry, at: index)
            }
            index = next(index)
            distance += 1
        }
        slots[index] = entry
        return true
    }

    /// The last offset that was put for the key of a hash; nil where it is not in the map. O(1).
    func offset(of value: KeyHash.Value) -> Int64? {
        let wanted = Slot(low: value.low, high: value.high)
        var index = home(wanted)
        var distance = 0
        while true {
            let found = slots[index]
            if found.mark == 0 { return nil }
            if found.low == wanted.low, found.high == wanted.high { return found.mark - 1 }
            if self.distance(found, at: index) < distance { return nil }
            index = next(index)
            distance += 1
        }
    }

    /// The slot where a hash's run begins: the hash scaled to the table, so that any size serves.
    @inline(__always)
    private func home(_ slot: Slot) -> Int {
        Int(slot.low.multipliedFullWidth(by: UInt64(slots.count)).high)
    }

    @inline(__always)
    private func distance(_ slot: Slot, at index: Int) -> Int {
        let distance = index - home(slot)
        return distance < 0 ? distance + slots.count : distance
    }

    @inline(__always)
    private func next(_ index: Int) -> Int { index + 1 == slots.count ? 0 : index + 1 }
}
