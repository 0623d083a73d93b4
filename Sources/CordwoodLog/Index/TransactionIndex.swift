import CordwoodStorage

/// The transactions that were aborted in one segment: those whose markers lie in it.
///
/// Layout in `docs/file-formats.md`, "Transaction index".
struct TransactionIndex: Hashable {
    /// By ascending marker.
    var entries: [AbortedTransaction] = []
    /// The offset behind the segment's last batch. A file that says another one is of the segment
    /// before a truncation, and made anew.
    var end: Int64
    /// Everything before this offset was decided when the segment ended, so a reader of records
    /// before it needs no later segment's index.
    var stableOffset: Int64
}

extension TransactionIndex {
    private static let pageByteCount = IndexPage.byteCount
    private static let headerByteCount = 64
    /// The most entries of one page.
    static let capacity = (pageByteCount - headerByteCount) / AbortedTransaction.byteCount
    private static let magic: UInt32 = 0x5854_5743  // "CWTX"
    private static let version: UInt16 = 1
    private static let checksumPosition = 12
    /// A segment of 2^31 bytes holds fewer markers than this many pages hold entries.
    private static let maximumPages = 1 << 18

    static let maximumFileBytes = maximumPages * pageByteCount

    /// The pages of the index, at least one.
    func encode(_ header: SegmentHeader) -> [MemorySlice] {
        let count = max(1, (entries.count + Self.capacity - 1) / Self.capacity)
        return (0..<count).map { number in
            let first = number * Self.capacity
            let page = entries[first..<min(first + Self.capacity, entries.count)]
            return MemorySlice(encode(page, number: number, of: count, header))
        }
    }

    private func encode(
        _ entries: ArraySlice<AbortedTransaction>, number: Int, of count: Int,
        _ header: SegmentHeader
    ) -> MemoryBlock {
        var writer = ByteWriter(count: Self.pageByteCount)
        writer.littleEndian(Self.magic)
        writer.littleEndian(Self.version)
        writer.littleEndian(UInt16(entries.count))
        writer.littleEndian(UInt32(number))
        writer.littleEndian(UInt32(0))  // checksum: below
        writer.littleEndian(header.logID)
        writer.littleEndian(header.baseOffset)
        writer.littleEndian(stableOffset)
        writer.littleEndian(end)
        writer.littleEndian(UInt32(count))
        writer.zeros(Self.headerByteCount - writer.position)
        for entry in entries { entry.encode(to: &writer) }
        writer.zeros(Self.pageByteCount - writer.position)
        let block = writer.finish()
        block.unsafeMutableBytes.storeBytes(
            of: crc32c(block.unsafeBytes).littleEndian, toByteOffset: Self.checksumPosition,
            as: UInt32.self)
        return block
    }

    /// Where an index file has its entry of that number.
    static func position(ofEntry number: Int) -> Int {
        number / capacity * pageByteCount + headerByteCount
            + number % capacity * AbortedTransaction.byteCount
    }

    /// The end of the segment that the first page is for, whatever else it holds.
    static func statedEnd(_ bytes: UnsafeRawBufferPointer) -> Int64? {
        guard bytes.count >= headerByteCount else { return nil }
        return Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: 40, as: Int64.self))
    }

    /// Reads a whole index of the segment that ends at `end`; nil when any page is missing, wrong
    /// or another segment's. Nothing is allocated beyond what the bytes hold.
    init?(_ bytes: UnsafeRawBufferPointer, header: SegmentHeader, end: Int64) {
        let pageBytes = Self.pageByteCount
        guard bytes.count > 0, bytes.count % pageBytes == 0,
            bytes.count <= Self.maximumFileBytes
        else { return nil }
        let count = bytes.count / pageBytes
        self.init(end: end, stableOffset: end)
        for number in 0..<count {
            let page = bytes[number * pageBytes..<(number + 1) * pageBytes]
            guard
                read(UnsafeRawBufferPointer(rebasing: page), number: number, of: count, header)
            else { return nil }
        }
    }

    /// Appends the entries of a page; false when it is not that page, whole.
    private mutating func read(
        _ bytes: UnsafeRawBufferPointer, number: Int, of count: Int, _ header: SegmentHeader
    ) -> Bool {
        var reader = ByteReader(bytes)
        guard reader.littleEndian(UInt32.self) == Self.magic,
            reader.littleEndian(UInt16.self) == Self.version,
            let entryCount = reader.littleEndian(UInt16.self), entryCount <= Self.capacity,
            number == count - 1 || entryCount == Self.capacity,
            reader.littleEndian(UInt32.self) == UInt32(number),
            let checksum = reader.littleEndian(UInt32.self),
            reader.littleEndian(UInt64.self) == header.logID,
            reader.littleEndian(Int64.self) == header.baseOffset,
            let stableOffset = reader.littleEndian(Int64.self), stableOffset >= 0,
            stableOffset <= end, number == 0 || stableOffset == self.stableOffset,
            reader.littleEndian(Int64.self) == end,
            reader.littleEndian(UInt32.self) == UInt32(count),
            checksum == IndexPage.checksum(of: bytes, at: Self.checksumPosition),
            reader.skip(Self.headerByteCount - reader.position) != nil
        else { return false }
        self.stableOffset = stableOffset
        for _ in 0..<entryCount {
            guard let entry = AbortedTransaction(&reader),
                entry.isPlausible(behind: entries.last, in: header.baseOffset..<end)
            else { return false }
            entries.append(entry)
        }
        return true
    }
}

extension AbortedTransaction {
    static let byteCount = 32

    func encode(to writer: inout ByteWriter) {
        writer.littleEndian(producerID)
        writer.littleEndian(firstOffset)
        writer.littleEndian(lastOffset)
        writer.littleEndian(lastStableOffset)
    }

    init?(_ reader: inout ByteReader) {
        guard let producerID = reader.littleEndian(Int64.self),
            let firstOffset = reader.littleEndian(Int64.self),
            let lastOffset = reader.littleEndian(Int64.self),
            let lastStableOffset = reader.littleEndian(Int64.self)
        else { return nil }
        self.init(
            producerID: producerID, firstOffset: firstOffset, lastOffset: lastOffset,
            lastStableOffset: lastStableOffset)
    }

    /// Whether an entry that was read can be one of a segment of these offsets, behind another.
    func isPlausible(behind previous: AbortedTransaction?, in segment: Range<Int64>) -> Bool {
        producerID >= 0 && firstOffset >= 0 && firstOffset < lastOffset
            && segment.contains(lastOffset) && lastStableOffset >= 0
            && lastStableOffset <= lastOffset + 1 && (previous?.lastOffset ?? -1) < lastOffset
    }
}
