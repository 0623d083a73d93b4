/// The bytes of a file, in pages, of which those that are all zeros need not exist: a preallocated
/// file of a gigabyte costs nothing until it is written.
///
/// Invariant: every byte at or past ``count`` is zero, or its page does not exist. Pages are shared
/// between copies until one of them changes.
struct SparseBytes {
    static let pageBytes = 4096
    private static let zeros = [UInt8](repeating: 0, count: pageBytes)

    private(set) var count = 0
    private var pages: [Int: [UInt8]] = [:]

    /// Copies the bytes from `position` on into all of `target`; past the end come zeros.
    func read(at position: Int, into target: UnsafeMutableRawBufferPointer) {
        Self.forEachPart(of: position..<position + target.count) { page, within, offset in
            let part = UnsafeMutableRawBufferPointer(
                rebasing: target[offset..<offset + within.count])
            if let bytes = pages[page] {
                bytes.withUnsafeBytes { part.copyMemory(from: .init(rebasing: $0[within])) }
            } else {
                part.initializeMemory(as: UInt8.self, repeating: 0)
            }
        }
    }

    /// Stores `bytes` at `position`, and grows where they end past the end.
    mutating func write(_ bytes: UnsafeRawBufferPointer, at position: Int) {
        Self.forEachPart(of: position..<position + bytes.count) { page, within, offset in
            let part = UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + within.count])
            pages[page, default: Self.zeros].withUnsafeMutableBytes {
                UnsafeMutableRawBufferPointer(rebasing: $0[within]).copyMemory(from: part)
            }
        }
        if !bytes.isEmpty { count = max(count, position + bytes.count) }
    }

    /// Cuts, or extends with zeros.
    mutating func resize(to size: Int) {
        if size < count {
            let firstGone = (size + Self.pageBytes - 1) / Self.pageBytes
            let lastPage = (count - 1) / Self.pageBytes
            if lastPage - firstGone > pages.count {
                pages = pages.filter { $0.key < firstGone }
            } else if firstGone <= lastPage {
                for page in firstGone...lastPage { pages[page] = nil }
            }
            let (page, kept) = size.quotientAndRemainder(dividingBy: Self.pageBytes)
            if kept > 0, pages[page] != nil {
                pages[page, default: Self.zeros].replaceSubrange(
                    kept..., with: repeatElement(0, count: Self.pageBytes - kept))
            }
        }
        count = size
    }

    /// The pages of a range of bytes that exist: all others are zeros.
    func storedPages(of range: Range<Int>) -> Set<Int> {
        if range.isEmpty { return [] }
        let wanted = range.lowerBound / Self.pageBytes...(range.upperBound - 1) / Self.pageBytes
        if wanted.count > pages.count { return Set(pages.keys.filter { wanted.contains($0) }) }
        return Set(wanted.filter { pages[$0] != nil })
    }

    /// One sector, padded with zeros past the end.
    func sector(_ sector: Int) -> [UInt8] {
        let bytes = SectorSet.sectorBytes
        return [UInt8](unsafeUninitializedCapacity: bytes) { buffer, filled in
            read(at: sector * bytes, into: UnsafeMutableRawBufferPointer(buffer))
            filled = bytes
        }
    }

    /// Replaces the part of a sector that lies before the end; the size stays.
    mutating func replaceSector(_ sector: Int, with bytes: [UInt8]) {
        let start = sector * SectorSet.sectorBytes
        let length = min(bytes.count, count - start)
        if length > 0 { bytes.withUnsafeBytes { write(.init(rebasing: $0[..<length]), at: start) } }
    }

    /// Takes over the sectors in `sectors` from `other`. Whole pages are shared, not copied.
    mutating func replaceSectors(_ sectors: SectorSet, from other: SparseBytes) {
        for (page, mask) in sectors.masks {
            let start = page * Self.pageBytes
            if start >= count { continue }
            if mask == .max, start + Self.pageBytes <= count {
                pages[page] = other.pages[page]
            } else {
                for bit in 0..<SectorSet.sectorsPerPage where mask & (1 << bit) != 0 {
                    let sector = page * SectorSet.sectorsPerPage + bit
                    replaceSector(sector, with: other.sector(sector))
                }
            }
        }
    }

    /// Everything, for tests to look at. O(count).
    var array: [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            let bytes = UnsafeMutableRawBufferPointer(buffer)
            read(at: 0, into: UnsafeMutableRawBufferPointer(rebasing: bytes[..<count]))
            filled = count
        }
    }

    /// Splits a range by page: the page, the part within it, and where the part is in the range.
    private static func forEachPart(
        of range: Range<Int>, _ body: (_ page: Int, _ within: Range<Int>, _ offset: Int) -> Void
    ) {
        var position = range.lowerBound
        while position < range.upperBound {
            let (page, start) = position.quotientAndRemainder(dividingBy: pageBytes)
            let length = min(pageBytes - start, range.upperBound - position)
            body(page, start..<start + length, position - range.lowerBound)
            position += length
        }
    }
}
