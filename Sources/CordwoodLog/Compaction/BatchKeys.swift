/// The hashes of a batch's keys, with their slots in a ``CompactionMap`` on the way to the cache.
///
/// A slot of a large map is a cache miss and a TLB miss, some 300 ns, and asking for one record's
/// after the other's waits for each. All keys of a batch are hashed and their slots touched first:
/// the misses do not depend on each other, so the processor has ten or more of them under way.
struct BatchKeys: Sendable {
    struct Key {
        var offset: Int64
        /// Nil for a record without a key.
        var hash: KeyHash.Value?
    }

    /// In the order of the records, up to the first that does not parse.
    private(set) var keys: [Key] = []

    /// Takes in the records of a batch, uncompressed. O(bytes of keys).
    mutating func collect(
        _ records: UnsafeRawBufferPointer, _ header: BatchHeader, for map: CompactionMap
    ) {
        keys.removeAll(keepingCapacity: true)
        var scanner = RecordScanner(records)
        for _ in 0..<header.recordCount {
            guard let record = scanner.next(), record.offsetDelta <= header.lastOffsetDelta
            else { break }
            keys.append(
                Key(
                    offset: header.baseOffset + Int64(record.offsetDelta),
                    hash: record.key.map {
                        map.hash(UnsafeRawBufferPointer(rebasing: records[$0]))
                    }))
        }
        if keys.count > 1 { map.touch(keys) }
    }
}
