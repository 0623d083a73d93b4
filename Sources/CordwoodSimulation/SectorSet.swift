/// A set of 512-byte sectors of one file, kept as one mask for each page that has any.
///
/// Sectors are the unit that a disk writes without tearing; pages are what the kernel caches.
struct SectorSet {
    static let sectorBytes = 512
    static let sectorsPerPage = SparseBytes.pageBytes / sectorBytes

    /// Page number to the sectors of it that are in the set; no mask is zero.
    private(set) var masks: [Int: UInt8] = [:]

    var isEmpty: Bool { masks.isEmpty }

    /// All sectors, ascending, so that random choices made over them repeat. O(n log n).
    var sorted: [Int] {
        masks.keys.sorted().flatMap { page in
            (0..<Self.sectorsPerPage).filter { masks[page, default: 0] & (1 << $0) != 0 }
                .map { page * Self.sectorsPerPage + $0 }
        }
    }

    func contains(_ sector: Int) -> Bool {
        let (page, bit) = sector.quotientAndRemainder(dividingBy: Self.sectorsPerPage)
        return masks[page, default: 0] & (1 << bit) != 0
    }

    /// The sectors that hold any of some bytes.
    static func sectors(ofBytes range: Range<Int>) -> Range<Int> {
        if range.isEmpty { return 0..<0 }
        return range.lowerBound / sectorBytes..<(range.upperBound - 1) / sectorBytes + 1
    }

    /// Adds a run of sectors. O(pages touched).
    mutating func insert(_ sectors: Range<Int>) {
        Self.forEachMask(of: sectors) { page, mask in masks[page, default: 0] |= mask }
    }

    /// Removes a run of sectors. O(pages touched), or O(pages in the set) where that is less.
    mutating func remove(_ sectors: Range<Int>) {
        let pages = sectors.count / Self.sectorsPerPage
        if pages > masks.count {
            for page in Array(masks.keys) {
                let first = page * Self.sectorsPerPage
                let part = sectors.clamped(to: first..<first + Self.sectorsPerPage)
                Self.forEachMask(of: part) { page, mask in clear(mask, of: page) }
            }
        } else {
            Self.forEachMask(of: sectors) { page, mask in clear(mask, of: page) }
        }
    }

    mutating func formUnion(_ other: SectorSet) {
        masks.merge(other.masks) { $0 | $1 }
    }

    private mutating func clear(_ mask: UInt8, of page: Int) {
        guard let old = masks[page] else { return }
        masks[page] = old & ~mask == 0 ? nil : old & ~mask
    }

    private static func forEachMask(of sectors: Range<Int>, _ body: (Int, UInt8) -> Void) {
        var first = sectors.lowerBound
        while first < sectors.upperBound {
            let (page, bit) = first.quotientAndRemainder(dividingBy: sectorsPerPage)
            let length = min(sectorsPerPage - bit, sectors.upperBound - first)
            body(page, UInt8(truncatingIfNeeded: ((1 << length) - 1) << bit))
            first += length
        }
    }
}
