/// A fixed number of rows, and what belongs to each: its id, its offset in the log, and, where the
/// metric asks for it, a lower bound of its squared norm. Structure of arrays in one anonymous map,
/// which the system fills with memory page by page as rows arrive.
///
/// Not locked: the index that owns it is either read, or changed by one caller.
final class RowBlock {
    /// The bytes of rows in a block: one huge page.
    static let rowsSizeBytes = MappedMemory.hugePageSizeBytes
    static let pageSizeBytes = MappedMemory.pageSizeBytes
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
    private let memory: MappedMemory
    private let layout: Layout

    /// Rows of `stride` floats.
    init(stride: Int, hasNorms: Bool) throws(VectorError) {
        layout = Layout(stride: stride, hasNorms: hasNorms)
        capacity = layout.capacity
        memory = try MappedMemory(byteCount: layout.end)
        rows = memory.bound(to: Float.self, capacity: capacity * stride)
        ids = memory.bound(to: UInt64.self, capacity: capacity, at: layout.ids)
        lowOffsets = memory.bound(to: UInt32.self, capacity: capacity, at: layout.low)
        highOffsets = memory.bound(to: UInt8.self, capacity: capacity, at: layout.high)
        norms =
            hasNorms ? memory.bound(to: Float.self, capacity: capacity, at: layout.norms) : nil
    }

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
    func useHugePages() { memory.gatherIntoHugePages(byteCount: Self.rowsSizeBytes) }

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
}
