import CordwoodStorage

/// Walks the batches of a segment and verifies each: structure, offsets without gaps, CRC, chain.
///
/// A value that holds where the walk is; ``next(in:)`` moves it over one batch. All reading of
/// batches (serving, recovery, verification) goes through it, so no byte is served unchecked.
/// Costs one CRC pass over the bytes, 12 to 30 GB/s where the processor helps.
struct BatchScan {
    /// Bytes from the start of the segment file.
    private(set) var position: Int
    private(set) var nextOffset: Int64
    private(set) var chain: BatchChain

    init(position: Int, nextOffset: Int64, chain: BatchChain) {
        self.position = position
        self.nextOffset = nextOffset
        self.chain = chain
    }

    /// Verifies the batch at the front of `bytes`, which are the file's from ``position`` on, and
    /// moves behind it. After an error the scan stays where it was.
    mutating func next(in bytes: UnsafeRawBufferPointer) throws(BatchProblem) -> BatchHeader {
        guard let header = BatchHeader(bytes) else {
            throw .truncated(needed: BatchHeader.byteCount, found: bytes.count)
        }
        if let problem = header.problem(available: bytes.count, expectedOffset: nextOffset) {
            throw problem
        }
        let batch = UnsafeRawBufferPointer(rebasing: bytes[..<header.totalByteCount])
        let found = crc32c(
            UnsafeRawBufferPointer(rebasing: batch[BatchHeader.checksummedFrom...]))
        guard found == header.checksum else {
            throw .badChecksum(expected: header.checksum, found: found)
        }
        chain.absorb(batch)
        position += batch.count
        nextOffset = header.nextOffset
        return header
    }

    /// The place of the first sound batch in `bytes` whose base offset is `minimumOffset` or more:
    /// where reading can go on behind damage. O(bytes); the CRC runs only where a header is
    /// plausible.
    static func firstBatch(
        in bytes: UnsafeRawBufferPointer, minimumOffset: Int64
    ) -> (position: Int, header: BatchHeader)? {
        guard bytes.count >= BatchHeader.byteCount else { return nil }
        for start in 0...(bytes.count - BatchHeader.byteCount) {
            guard bytes[start + BatchHeader.magicPosition] == UInt8(BatchHeader.currentMagic)
            else { continue }
            let rest = UnsafeRawBufferPointer(rebasing: bytes[start...])
            guard let header = BatchHeader(rest), header.baseOffset >= minimumOffset,
                // Offsets inside one segment fit in 31 bits behind its base.
                header.baseOffset - minimumOffset <= Int64(Int32.max)
            else { continue }
            var scan = BatchScan(
                position: 0, nextOffset: header.baseOffset, chain: BatchChain(value: 0))
            if (try? scan.next(in: rest)) != nil { return (start, header) }
        }
        return nil
    }
}
