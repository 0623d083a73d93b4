/// Which of some numbered buckets a key belongs to, such that growing from n to n + 1 buckets moves one
/// key in n + 1, each of them to the new bucket. For shards that come and go at the end only; where any
/// node may leave, use ``RendezvousHash``.
///
/// Lamping and Veach, "A Fast, Minimal Memory, Consistent Hash Algorithm" (2014).
public enum JumpHash {
    /// The bucket, `0..<buckets`, of a key with this hash (``StableHash``). O(log buckets).
    ///
    /// - Throws: ``CacheError/Code/invalidPlacement`` unless there are 1 to 2^31 - 1 buckets.
    public static func bucket(of hash: UInt64, buckets: Int) throws(CacheError) -> Int {
        guard buckets >= 1, buckets <= Int32.max else {
            throw CacheError(
                .invalidPlacement, "expected 1 to \(Int32.max) buckets, found \(buckets)")
        }
        // A generator that the key seeds says at what numbers of buckets the key moves: the next after
        // b + 1 is (b + 1) / r for r even in 0...1. The last one that is reached is its bucket.
        var state = hash
        var bucket = 0
        var next = 0
        while next < buckets {
            bucket = next
            state = state &* 2_862_933_555_777_941_757 &+ 1
            next = Int(Double(bucket + 1) * (0x1p31 / Double((state >> 33) + 1)))
        }
        return bucket
    }
}
