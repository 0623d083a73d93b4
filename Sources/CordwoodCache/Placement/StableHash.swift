/// A hash that is the same in every process, on every machine and in every version, unlike Swift's own:
/// where a key lives must not change with a restart.
///
/// FNV-1a over the bytes (Fowler, Noll and Vo), with its bits spread by SplitMix64's finalizer (Steele, Lea
/// and Flood, 2014), since the placements use all of them. Anyone can choose keys that collide: it places,
/// it does not protect.
public enum StableHash {
    /// The hash of some bytes. O(bytes).
    public static func hash(_ bytes: some Sequence<UInt8>) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return spread(hash)
    }

    /// The hash of a text's UTF-8.
    public static func hash(_ text: String) -> UInt64 { hash(text.utf8) }

    /// Makes every bit depend on every bit; one to one.
    static func spread(_ value: UInt64) -> UInt64 {
        var mixed = value
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}
