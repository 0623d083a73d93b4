internal import CordwoodStorage

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// Zeroed memory from the system, which takes none before a page is touched.
///
/// Not locked: whoever owns it says who writes.
final class MappedMemory: @unchecked Sendable {
    static let pageSizeBytes = 4096
    static let hugePageSizeBytes = 2 << 20

    let base: UnsafeMutableRawPointer
    let count: Int

    /// Starts on a huge page. Throws ``VectorError/Code/outOfMemory``.
    init(byteCount: Int) throws(VectorError) {
        count = max(byteCount, 1)
        let alignment = Self.hugePageSizeBytes
        let size = count + alignment
        guard
            let start = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
            start != MAP_FAILED
        else {
            throw VectorError(.outOfMemory, "mmap of \(size) bytes failed with errno \(errno)")
        }
        let head = (alignment - Int(bitPattern: start) % alignment) % alignment
        let end = (head + count + Self.pageSizeBytes - 1) / Self.pageSizeBytes * Self.pageSizeBytes
        if head > 0 { munmap(start, head) }
        if end < size { munmap(start + end, size - end) }
        base = start + head
    }

    deinit { munmap(base, count) }

    /// Asks the system to give huge pages as memory is touched: what is read here and there is then
    /// found with fewer looks into its tables. A wish, not kept everywhere.
    func preferHugePages() { madvise(base, count, Int32(MADV_HUGEPAGE)) }

    /// Asks the system to gather into huge pages now what was touched of the first `byteCount`
    /// bytes, and makes it take the memory of all of them.
    func gatherIntoHugePages(byteCount: Int) {
        // MADV_COLLAPSE, which the C library's header has not had for as long as the kernel.
        let collapseNow: Int32 = 25
        madvise(base, byteCount, Int32(MADV_HUGEPAGE))
        madvise(base, byteCount, collapseNow)
    }

    /// The first `count` bytes, to be shared; nobody writes them any more.
    func block(count: Int) -> MemoryBlock {
        MemoryBlock(adopting: base, count: count) { [self] _, _ in withExtendedLifetime(self) {} }
    }

    /// The memory as so many values, which are zeros until they are written.
    func bound<Value: BitwiseCopyable>(
        to type: Value.Type, capacity: Int, at position: Int = 0
    ) -> UnsafeMutablePointer<Value> {
        precondition(position + capacity * MemoryLayout<Value>.stride <= count)
        return (base + position).bindMemory(to: type, capacity: capacity)
    }
}

extension MemoryBlock {
    /// Zeroed memory of the system, which has it again once the block is released, where allocators keep
    /// what comes and goes. For large ones of short lives. Throws ``VectorError/Code/outOfMemory``.
    static func mapped(count: Int) throws(VectorError) -> MemoryBlock {
        try MappedMemory(byteCount: count).block(count: count)
    }
}
