/// A file that does not change, to be read at random places by threads that wait for what they read.
public protocol RandomReads: AnyObject, Sendable {
    /// A reader with `slotCount` slots of memory, each of `slotBytes`, a multiple of
    /// ``RandomReader/alignment``. Throws where the system has no memory or no more open files.
    func makeReader(slotCount: Int, slotBytes: Int) throws(StorageError) -> any RandomReader
}

/// Reads of one file into memory of its own, several in flight at once.
///
/// A slot is the memory of one read at a time. Which read ends first is not said.
///
/// **Threads.** One at a time uses a reader, and blocks while it waits.
public protocol RandomReader: AnyObject {
    /// Begins a read of a whole slot at a position, a multiple of ``RandomReader/alignment``; the kernel
    /// may hear of it with the next ``complete(waits:_:)`` only. The slot must be free: never read to,
    /// or its read has ended.
    func start(slot: Int, at position: Int)

    /// Hands over what was started, and calls `body` with each read that has ended: its slot and how
    /// many bytes it has, fewer than all where the file ends, or why it has none. With `waits`, blocks
    /// until there is one; something must be in flight then.
    func complete(waits: Bool, _ body: (_ slot: Int, _ result: Result<Int, StorageError>) -> Void)

    /// Lends the bytes of a slot whose read has ended, all of them: those behind what the read had are
    /// of reads before it, or zeros.
    func withBytes(of slot: Int, _ body: (RawSpan) -> Void)
}

extension RandomReader {
    /// What bounds slots and positions: a page.
    public static var alignment: Int { randomReadAlignment }
}

/// Direct reads of all file systems are content with it.
let randomReadAlignment = 4096

/// The memory of a reader's slots.
struct ReadSlots: ~Copyable {
    let count: Int
    let slotBytes: Int
    private let base: UnsafeMutableRawPointer

    init(count: Int, slotBytes: Int) {
        precondition(
            count > 0 && slotBytes > 0 && slotBytes % randomReadAlignment == 0,
            "expected slots of whole pages, found \(count) of \(slotBytes) bytes")
        self.count = count
        self.slotBytes = slotBytes
        base = .allocate(byteCount: count * slotBytes, alignment: randomReadAlignment)
        base.initializeMemory(as: UInt8.self, repeating: 0, count: count * slotBytes)
    }

    deinit { base.deallocate() }

    subscript(slot: Int) -> UnsafeMutableRawBufferPointer {
        precondition((0..<count).contains(slot), "expected a slot below \(count), found \(slot)")
        return .init(start: base + slot * slotBytes, count: slotBytes)
    }
}

/// Reads that copy from a map.
final class MappedReads: RandomReads {
    private let block: MemoryBlock

    init(_ block: MemoryBlock) { self.block = block }

    func makeReader(slotCount: Int, slotBytes: Int) throws(StorageError) -> any RandomReader {
        MappedReader(block, ReadSlots(count: slotCount, slotBytes: slotBytes))
    }
}

private final class MappedReader: RandomReader {
    private let block: MemoryBlock
    private let slots: ReadSlots
    private var started: [(slot: Int, position: Int)] = []

    init(_ block: MemoryBlock, _ slots: consuming ReadSlots) {
        self.block = block
        self.slots = slots
    }

    func start(slot: Int, at position: Int) { started.append((slot, position)) }

    func complete(waits: Bool, _ body: (Int, Result<Int, StorageError>) -> Void) {
        precondition(!waits || !started.isEmpty, "nothing is in flight")
        for (slot, position) in started {
            let start = min(max(position, 0), block.count)
            let bytes = block.unsafeBytes[start..<min(start + slots.slotBytes, block.count)]
            slots[slot].copyBytes(from: bytes)
            body(slot, .success(bytes.count))
        }
        started.removeAll(keepingCapacity: true)
    }

    func withBytes(of slot: Int, _ body: (RawSpan) -> Void) {
        body(UnsafeRawBufferPointer(slots[slot]).bytes)
    }
}
