import CordwoodStorage

/// A page of an index file: up to ``IndexEntry/pageCapacity`` entries behind a header with a
/// checksum.
///
/// Layout in `docs/file-formats.md`, "Index pages". A page stands by itself: a lost, cut, zeroed or
/// flipped one is noticed and its entries are made anew from the segment. All but the last page of
/// an index are full and the last one is not, so an index that lost pages is noticed too.
enum IndexPage {
    static let byteCount = 4096
    static let headerByteCount = 40

    private static let version: UInt16 = 1

    /// The bytes of page `number`, with at most a page's capacity of entries.
    static func encode<Entry: IndexEntry>(
        _ entries: ArraySlice<Entry>, number: Int, header: SegmentHeader
    ) -> MemoryBlock {
        precondition(entries.count <= Entry.pageCapacity)
        var writer = ByteWriter(count: byteCount)
        writer.littleEndian(Entry.pageMagic)
        writer.littleEndian(version)
        writer.littleEndian(UInt16(entries.count))
        writer.littleEndian(UInt32(number))
        writer.littleEndian(UInt32(0))  // checksum: below
        writer.littleEndian(header.logID)
        writer.littleEndian(header.baseOffset)
        writer.zeros(headerByteCount - writer.position)
        for entry in entries { entry.encode(to: &writer) }
        writer.zeros(byteCount - writer.position)
        let block = writer.finish()
        block.unsafeMutableBytes.storeBytes(
            of: crc32c(block.unsafeBytes).littleEndian, toByteOffset: checksumPosition,
            as: UInt32.self)
        return block
    }

    /// The pages of a whole index, from page `first` on, whose entries these are. The last one is
    /// not full; it may be empty.
    static func encodeAll<Entry: IndexEntry>(
        _ entries: ArraySlice<Entry>, first: Int = 0, header: SegmentHeader
    ) -> [MemorySlice] {
        let full = encodeFull(entries, first: first, header: header)
        let rest = entries.dropFirst(full.count * Entry.pageCapacity)
        return full + [MemorySlice(encode(rest, number: first + full.count, header: header))]
    }

    /// The pages that `entries` fill; those of the last page are left out unless it is full.
    static func encodeFull<Entry: IndexEntry>(
        _ entries: ArraySlice<Entry>, first: Int, header: SegmentHeader
    ) -> [MemorySlice] {
        (0..<entries.count / Entry.pageCapacity).map { number in
            let page = entries.dropFirst(number * Entry.pageCapacity).prefix(Entry.pageCapacity)
            return MemorySlice(encode(page, number: first + number, header: header))
        }
    }

    private static let checksumPosition = 12

    /// The entries of page `number`; nil when the bytes are not that page, whole.
    static func decode<Entry: IndexEntry>(
        _ bytes: UnsafeRawBufferPointer, number: Int, header: SegmentHeader
    ) -> [Entry]? {
        guard bytes.count == byteCount else { return nil }
        var reader = ByteReader(bytes)
        guard reader.littleEndian(UInt32.self) == Entry.pageMagic,
            reader.littleEndian(UInt16.self) == version,
            let count = reader.littleEndian(UInt16.self), Int(count) <= Entry.pageCapacity,
            reader.littleEndian(UInt32.self) == UInt32(number),
            let checksum = reader.littleEndian(UInt32.self),
            reader.littleEndian(UInt64.self) == header.logID,
            reader.littleEndian(Int64.self) == header.baseOffset,
            checksum == self.checksum(of: bytes, at: checksumPosition),
            reader.skip(headerByteCount - reader.position) != nil
        else { return nil }
        var entries: [Entry] = []
        entries.reserveCapacity(Int(count))
        for _ in 0..<count {
            guard let entry = Entry(&reader) else { return nil }
            entries.append(entry)
        }
        return entries
    }

    /// The CRC of a page, its own field, at `position`, read as zero. Nil when it does not lie
    /// inside.
    static func checksum(of page: UnsafeRawBufferPointer, at position: Int) -> UInt32? {
        guard page.count >= position + 4 else { return nil }
        var value = crc32c(UnsafeRawBufferPointer(rebasing: page[..<position]))
        value = withUnsafeBytes(of: UInt32(0)) { crc32c($0, seed: value) }
        return crc32c(UnsafeRawBufferPointer(rebasing: page[(position + 4)...]), seed: value)
    }
}
