import Synchronization

/// Chooses a record's partition as Kafka's default partitioner does, so that a client which hashes
/// keys by itself finds them where this library put them.
struct Partitioner: ~Copyable {
    let partitions: Int
    private let turn = Atomic<Int>(0)

    init(partitions: Int) { self.partitions = partitions }

    /// A key's partition: its murmur2 hash, without the sign, modulo the partitions.
    func partition(of key: [UInt8]) -> Int {
        Int(Self.murmur2(key) & 0x7FFF_FFFF) % partitions
    }

    /// The partition for the records without a key of one append: they stay together, and appends
    /// take turns.
    func nextForKeyless() -> Int {
        let turn = turn.wrappingAdd(1, ordering: .relaxed).oldValue
        return Int(UInt(bitPattern: turn) % UInt(partitions))
    }

    /// MurmurHash2 by Austin Appleby, 32 bits, with the seed that Kafka uses.
    static func murmur2(_ bytes: [UInt8]) -> UInt32 {
        let multiplier: UInt32 = 0x5BD1_E995
        var hash = 0x9747_B28C ^ UInt32(truncatingIfNeeded: bytes.count)
        let words = bytes.count / 4
        bytes.withUnsafeBytes { bytes in
            for word in 0..<words {
                var k = UInt32(
                    littleEndian: bytes.loadUnaligned(fromByteOffset: word * 4, as: UInt32.self))
                k = k &* multiplier
                k ^= k >> 24
                k = k &* multiplier
                hash = (hash &* multiplier) ^ k
            }
            let rest = bytes[(words * 4)...]
            if !rest.isEmpty {
                for (index, byte) in rest.enumerated() { hash ^= UInt32(byte) << (8 * index) }
                hash = hash &* multiplier
            }
        }
        hash ^= hash >> 13
        hash = hash &* multiplier
        return hash ^ (hash >> 15)
    }
}
