#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

/// A fixed number of rows, and what belongs to each: its id, its offset in the log, and, where the
/// metric asks for it, a lower bound of its squared norm. Structure of arrays in one anonymous map,
/// which the system fills with memory page by page as rows arrive.
///
/// Not locked: the index that owns it is either read, or changed by one caller.
final class RowBlock {
    /// The bytes of rows in a block: one huge page.
    static let rowsSizeBytes = 2 << 20
    static let pageSizeBytes = 4096
    /// Offsets below this fit in the five bytes that a row has for them.
    static let offsetLimit: Int64 = 1 << 40

    let capacity: Int
    /// The squared norm of the longest row that the block has ever held. Kept by the inner product.
    var largestSquaredNorm: Double = 0

    let rows: UnsafeMutablePointer<Float>
    let ids: UnsafeMutablePointer<UInt64>
    /// Lower bounds of the squared norms; absent for metrics that need none.
    let norms: UnsafeMutablePointer<Float>?
    private let lowOffsets: UnsafeMutablePointer<UInt32>
    private let highOffsets: UnsafeMutablePointer<UInt8>
    private let map: UnsafeMutableRawBufferPointer
    private let layout: Layout

    /// Rows of `stride` floats.
    init(stride: Int, hasNorms: Bool) throws(VectorError) {
        layout = Layout(stride: stride, hasNorms: hasNorms)
        capacity = layout.capacity
        map = try Self.map(layout.end, alignment: Self.rowsSizeBytes)
        let base = map.baseAddress!
        rows = base.bindMemory(to: Float.self, capacity: capacity * stride)
        ids = (base + layout.ids).bindMemory(to: UInt64.self, capacity: capacity)
        lowOffsets = (base + layout.low).bindMemory(to: UInt32.self, capacity: capacity)
        highOffsets = (base + layout.high).bindMemory(to: UInt8.self, capacity: capacity)
        norms =
            hasNorms ? (base + layout.norms).bindMemory(to: Float.self, capacity: capacity) : nil
    }

    deinit { munmap(map.baseAddress, map.count) }

    /// The offset of a row, which must be below ``offsetLimit``.
    subscript(offset row: Int) -> Int64 {
        get { Int64(highOffsets[row]) << 32 | Int64(lowOffsets[row]) }
        set {
            lowOffsets[row] = UInt32(truncatingIfNeeded: newValue)
            highOffsets[row] = UInt8(truncatingIfNeeded: newValue >> 32)
        }
    }

    /// Asks the system to hold the rows in huge pages, which makes scans about a fifth faster. For
    /// blocks that are full: a huge page takes memory for all its rows at the first touch. Where
    /// the system has none to give, the block stays as it is.
    func useHugePages() {
        // MADV_COLLAPSE, which the C library's header has not had for as long as the kernel.
        let collapseNow: Int32 = 25
        madvise(map.baseAddress, Self.rowsSizeBytes, Int32(MADV_HUGEPAGE))
        madvise(map.baseAddress, Self.rowsSizeBytes, collapseNow)
    }

    /// The bytes that `count` rows have made resident.
    func residentBytes(rows count: Int) -> Int {
        func pages(_ bytes: Int) -> Int {
            (bytes + Self.pageSizeBytes - 1) / Self.pageSizeBytes * Self.pageSizeBytes
        }
        let perRow = [8, 4, 1] + (norms == nil ? [] : [4])
        return pages(count * layout.rowSizeBytes) + perRow.reduce(0) { $0 + pages(count * $1) }
    }

    /// Where each array starts in the map. All starts are on pages.
    private struct Layout {
        let rowSizeBytes: Int
        let capacity: Int
        let ids: Int
        let low: Int
        let high: Int
        let norms: Int
        let end: Int

        init(stride: Int, hasNorms: Bool) {
            rowSizeBytes = stride * MemoryLayout<Float>.stride
            // A multiple of four, the number of rows that the kernels sum together.
            capacity = max(RowBlock.rowsSizeBytes / rowSizeBytes / 4 * 4, 4)
            func after(_ start: Int, _ bytes: Int) -> Int {
                let page = RowBlock.pageSizeBytes
                return (start + bytes + page - 1) / page * page
            }
            ids = after(0, capacity * rowSizeBytes)
            low = after(ids, capacity * 8)
            high = after(low, capacity * 4)
            norms = after(high, capacity)
            end = hasNorms ? after(norms, capacity * 4) : norms
        }
    }

    /// Maps zeroed memory that starts at a multiple of `alignment`.
    private static func map(
        _ count: Int, alignment: Int
    ) throws(VectorError) -> UnsafeMutableRawBufferPointer {
        let size = count + alignment
        guard
            let start = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
            start != MAP_FAILED
        else {
            throw VectorError(.outOfMemory, "mmap of \(size) bytes failed with errno \(errno)")
        }
        let head = (alignment - Int(bitPattern: start) % alignment) % alignment
        if head > 0 { munmap(start, head) }
        munmap(start + head + count, alignment - head)
        return UnsafeMutableRawBufferPointer(start: start + head, count: count)
    }
}
