/// A run of bytes at a fixed address: allocated for I/O, or mapped from a file. Released with the
/// last reference.
///
/// A block that was allocated is filled by its one owner before it is shared (written, sent to
/// another task, sliced), and never changed afterwards; from then on any thread may read it. That
/// rule is what `@unchecked Sendable` stands on: the type cannot check it and does not lock.
public final class MemoryBlock: @unchecked Sendable {
    /// The alignment of allocated blocks: a cache line, which also serves every vector load.
    public static let alignment = 64

    public let count: Int
    private let base: UnsafeMutableRawPointer
    private let release: @Sendable (UnsafeMutableRawPointer, Int) -> Void

    /// Allocates `count` bytes, not initialised. O(1).
    public init(count: Int) {
        precondition(count >= 0, "a block cannot have \(count) bytes")
        self.count = count
        base = .allocate(byteCount: max(count, 1), alignment: Self.alignment)
        release = { base, _ in base.deallocate() }
    }

    /// Allocates a copy of `bytes`. O(count).
    public convenience init(copying bytes: [UInt8]) {
        self.init(count: bytes.count)
        unsafeMutableBytes.copyBytes(from: bytes)
    }

    /// Takes over memory that `release` frees, called once with its address and count.
    package init(
        adopting base: UnsafeMutableRawPointer, count: Int,
        release: @escaping @Sendable (UnsafeMutableRawPointer, Int) -> Void
    ) {
        self.base = base
        self.count = count
        self.release = release
    }

    deinit { release(base, count) }

    /// Lends the bytes to `body`.
    public func withBytes<Value: ~Copyable, Failure: Error>(
        _ body: (RawSpan) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        try body(unsafeBytes.bytes)
    }

    /// For the I/O and kernel-calling types: valid while the block lives.
    package var unsafeBytes: UnsafeRawBufferPointer { .init(start: base, count: count) }

    /// For the one owner that fills the block before it shares it.
    package var unsafeMutableBytes: UnsafeMutableRawBufferPointer {
        .init(start: base, count: count)
    }
}

/// A range of a ``MemoryBlock``, which it keeps alive.
public struct MemorySlice: Sendable {
    public let block: MemoryBlock
    public let range: Range<Int>

    /// A slice of part of a block. `range` must lie inside it.
    public init(_ block: MemoryBlock, _ range: Range<Int>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= block.count)
        self.block = block
        self.range = range
    }

    public init(_ block: MemoryBlock) { self.init(block, 0..<block.count) }

    public var count: Int { range.count }

    /// Lends the bytes to `body`.
    public func withBytes<Value: ~Copyable, Failure: Error>(
        _ body: (RawSpan) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        try body(unsafeBytes.bytes)
    }

    package var unsafeBytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: block.unsafeBytes[range])
    }
}
