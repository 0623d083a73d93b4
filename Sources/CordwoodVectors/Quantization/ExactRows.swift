internal import CCordwoodKernels
internal import CordwoodStorage
internal import Synchronization

/// The vectors that the nearest by their codes are compared with again, row after row: floats, or
/// halves. Immutable.
struct ExactRows: Sendable {
    /// Rows that a thread takes at a time.
    private static let chunk = 2048

    let bytes: MemorySlice
    /// ``Reranking/f16`` or ``Reranking/f32``.
    let reranking: Reranking

    init(bytes: MemorySlice, reranking: Reranking) {
        self.bytes = bytes
        self.reranking = reranking
    }

    var element: cordwood_element { reranking.element }

    var kernel: UnsafePointer<UInt8>? { bytes.pointer(to: UInt8.self) }

    /// `count` rows of `components` numbers, which `row` finds as floats; halves where they are asked
    /// for and can hold every row. O(count × components).
    init(
        _ reranking: Reranking, count: Int, components: Int, threads: Int,
        row: @escaping @Sendable (Int) -> UnsafePointer<Float>
    ) throws(VectorError) {
        precondition(reranking != .none, "nothing has no rows")
        if reranking == .f16,
            let halves = try Self.halves(
                count: count, components: components, threads: threads, row: row)
        {
            self.init(bytes: halves, reranking: .f16)
            return
        }
        let stride = components * MemoryLayout<Float>.stride
        let memory = try Self.memory(byteCount: count * stride)
        ParallelWork.run(0..<count, chunk: Self.chunk, threads: threads) { _, rows in
            for number in rows {
                (memory.base + number * stride).copyMemory(from: row(number), byteCount: stride)
            }
        }
        self.init(bytes: MemorySlice(memory.block(count: count * stride)), reranking: .f32)
    }

    /// Nil where a row is too far from its halves.
    private static func halves(
        count: Int, components: Int, threads: Int,
        row: @escaping @Sendable (Int) -> UnsafePointer<Float>
    ) throws(VectorError) -> MemorySlice? {
        let stride = components * MemoryLayout<UInt16>.stride
        let memory = try Self.memory(byteCount: count * stride)
        let canHold = Atomic(true)
        ParallelWork.run(0..<count, chunk: chunk, threads: threads) { _, rows in
            for number in rows {
                let halves = memory.bound(
                    to: UInt16.self, capacity: components, at: number * stride)
                if !cordwood_f16_encode(row(number), components, halves) {
                    canHold.store(false, ordering: .relaxed)
                    return
                }
            }
        }
        guard canHold.load(ordering: .relaxed) else { return nil }
        return MemorySlice(memory.block(count: count * stride))
    }

    private static func memory(byteCount: Int) throws(VectorError) -> MappedMemory {
        let memory = try MappedMemory(byteCount: byteCount)
        memory.preferHugePages()
        return memory
    }
}

extension Reranking {
    /// Of rows; ``none`` has none.
    var element: cordwood_element { self == .f16 ? CORDWOOD_F16 : CORDWOOD_F32 }

    /// Bytes of a row of so many components.
    func rowBytes(_ components: Int) -> Int {
        self == .none ? 0 : cordwood_element_row_bytes(element, components)
    }
}
