/// The latest changes of a cached view, by number, to tell whether a key has changed since a value of it was
/// seen in memory.
///
/// An evicted value reaches the disk tier some time after it left memory, and its key may have changed
/// meanwhile: the tier would keep what is out of date. Under the lock of its shard the cache notes the last
/// change that is applied everywhere (the stamp). An entry that is still there then was filled after its key's
/// last change up to the stamp; so it is true unless its key changed behind that. Changes that lie too far
/// back are forgotten, and whoever asks for them is refused.
///
/// Bounded: ``maximumChanges`` hashes and numbers of 16 bytes.
struct ChangeWindow: Sendable {
    static let maximumChanges = 1 << 14

    private var sequence: UInt64 = 0
    /// Of changes up to this one nothing is known.
    private var floor: UInt64 = 0
    private var recent: [UInt64: UInt64] = [:]

    /// Numbers a change of a key, by its hash, before it is applied.
    mutating func begin(_ hash: UInt64) -> UInt64 {
        if recent.count >= Self.maximumChanges {
            floor = sequence
            recent = [:]
        }
        sequence += 1
        recent[hash] = sequence
        return sequence
    }

    /// The same for a change of all keys.
    mutating func beginAll() -> UInt64 {
        sequence += 1
        floor = sequence
        recent = [:]
        return sequence
    }

    func isUnchanged(_ hash: UInt64, since stamp: UInt64) -> Bool {
        stamp >= floor && recent[hash] ?? 0 <= stamp
    }
}
