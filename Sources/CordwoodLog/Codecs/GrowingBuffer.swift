import CordwoodStorage
import Glibc

/// Bytes of a size that is not known beforehand, filled from front to back and then handed on as a
/// ``MemoryBlock`` without a copy.
///
/// Grows by doubling and never beyond its limit. Running out of memory traps, as it does for every
/// allocation in Swift.
struct GrowingBuffer: ~Copyable {
    private static let smallestCapacity = 16 << 10

    private var base: UnsafeMutableRawPointer?
    private(set) var capacity = 0
    private(set) var count = 0
    let limit: Int

    init(limit: Int) {
        precondition(limit > 0)
        self.limit = limit
    }

    deinit { free(base) }

    /// The room behind the bytes that are there.
    var room: UnsafeMutableRawBufferPointer {
        .init(start: base.map { $0 + count }, count: capacity - count)
    }

    /// Makes room for `size` bytes more; false when that would pass the limit.
    mutating func reserve(_ size: Int) -> Bool {
        guard size <= limit - count else { return false }
        guard size > capacity - count else { return true }
        let doubled = min(limit, max(Self.smallestCapacity, capacity * 2))
        resize(to: max(doubled, count + size))
        return true
    }

    /// Makes room for at least one byte more; false when the limit is reached.
    mutating func grow() -> Bool { reserve(1) }

    /// Counts bytes that were written to ``room``.
    mutating func advance(_ size: Int) {
        precondition(size >= 0 && size <= capacity - count)
        count += size
    }

    /// Appends bytes that the caller knows to fit the limit.
    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        precondition(reserve(bytes.count), "\(bytes.count) bytes pass the limit \(limit)")
        if bytes.count > 0 { room.copyMemory(from: bytes) }
        count += bytes.count
    }

    /// The bytes, in memory that is trimmed to their size.
    consuming func finish() -> MemoryBlock {
        let size = count
        guard let start = base else { return MemoryBlock(count: 0) }
        if size > 0, size < capacity { resize(to: size) }
        let bytes = base ?? start
        base = nil
        return MemoryBlock(adopting: bytes, count: size) { base, _ in free(base) }
    }

    private mutating func resize(to size: Int) {
        guard let moved = realloc(base, size) else { fatalError("no memory for \(size) bytes") }
        base = moved
        capacity = size
    }
}
