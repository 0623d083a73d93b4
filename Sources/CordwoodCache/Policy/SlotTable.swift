/// Finds slots by hash: open addressing with linear probing, in one array of 32-bit words.
///
/// A word has 8 bits of the hash and 24 bits of the slot, so that a lookup seldom looks at a slot in
/// vain; hashes themselves lie with the slots. Removal moves later words back and leaves no marks. At
/// most 4/5 full, so 5 to 10 bytes a slot.
///
/// Pointers, because a lookup is to take a few nanoseconds: every position is masked.
@frozen @usableFromInline struct SlotTable: ~Copyable {
    @usableFromInline static var maximumSlots: Int { 1 << 24 - 2 }

    /// 0 where there is none; otherwise the slot + 1 in the low 24 bits, and the hash's high 8.
    @usableFromInline var words: UnsafeMutablePointer<UInt32>
    @usableFromInline var mask: Int
    @usableFromInline var count = 0

    @inlinable init() {
        mask = 15
        words = .allocate(capacity: 16)
        words.initialize(repeating: 0, count: 16)
    }

    @inlinable deinit { words.deallocate() }

    /// The slot of this hash for which `matches` holds.
    @inlinable func find(_ hash: UInt32, where matches: (Int) -> Bool) -> Int? {
        var place = Int(hash) & mask
        // Ends at an empty word, of which there always are some.
        while true {
            let word = words[place]
            if word == 0 { return nil }
            if word >> 24 == hash >> 24 {
                let slot = Self.slot(of: word)
                if matches(slot) { return slot }
            }
            place = (place + 1) & mask
        }
    }

    /// Adds a slot that is not there. `hashOf` gives the hash of every slot that is.
    @inlinable mutating func insert(_ slot: Int, _ hash: UInt32, hashOf: (Int) -> UInt32) {
        if (count + 1) * 5 > (mask + 1) * 4 { grow(hashOf: hashOf) }
        place(slot, hash)
        count += 1
    }

    /// Removes a slot that is there.
    @inlinable mutating func remove(_ slot: Int, _ hash: UInt32, hashOf: (Int) -> UInt32) {
        var hole = Int(hash) & mask
        while Self.slot(of: words[hole]) != slot { hole = (hole + 1) & mask }
        var next = (hole + 1) & mask
        // A word moves into the hole unless the hole lies before its own place.
        while words[next] != 0 {
            let home = Int(hashOf(Self.slot(of: words[next]))) & mask
            if (next - home) & mask >= (next - hole) & mask {
                words[hole] = words[next]
                hole = next
            }
            next = (next + 1) & mask
        }
        words[hole] = 0
        count -= 1
    }

    @inlinable mutating func place(_ slot: Int, _ hash: UInt32) {
        var place = Int(hash) & mask
        while words[place] != 0 { place = (place + 1) & mask }
        words[place] = UInt32(slot + 1) | hash & 0xFF00_0000
    }

    @inlinable mutating func grow(hashOf: (Int) -> UInt32) {
        let (old, oldCount) = (words, mask + 1)
        mask = oldCount * 2 - 1
        words = .allocate(capacity: mask + 1)
        words.initialize(repeating: 0, count: mask + 1)
        for index in 0..<oldCount where old[index] != 0 {
            let slot = Self.slot(of: old[index])
            place(slot, hashOf(slot))
        }
        old.deallocate()
    }

    /// Of a word that is not 0; -1 for 0.
    @inlinable static func slot(of word: UInt32) -> Int { Int(word & 0xFF_FFFF) - 1 }
}
