internal import CCordwoodKernels
internal import CordwoodStorage

/// The codes of rows in lists, each list relative to its own center. Immutable.
final class RaBitQCodes: @unchecked Sendable {
    // Sendable although it holds unsafe memory, which nobody writes once it is made.

    /// Lists that a thread takes at a time.
    private static let chunk = 4

    let quantizer: RaBitQuantizer
    /// List i has the places from `starts[i]` up to `starts[i + 1]`.
    let starts: [Int]
    /// Each list's blocks, one list behind the other.
    let blocks: MemorySlice
    /// Each row's other bits, by place.
    let extra: MemorySlice
    /// Each list's center, rotated.
    let centers: AlignedFloats
    /// Where each list's blocks are.
    private let blockStarts: [Int]

    var listCount: Int { starts.count - 1 }
    var bytesAllocated: Int {
        let centers = listCount * quantizer.rotation.rotatedDimensions * MemoryLayout<Float>.stride
        return blocks.count + extra.count + centers + quantizer.rotation.bytesAllocated
    }

    /// Encodes rows: the one at place i is the row of floats `order[i]`. `centroids` has `dimensions`
    /// floats to each list. The same bytes with any number of threads.
    ///
    /// Throws ``VectorError/Code/outOfMemory``.
    convenience init(
        _ quantizer: RaBitQuantizer, rows: UnsafePointer<Float>, stride: Int, order: [UInt32],
        starts: [Int], centroids: UnsafePointer<Float>, threads: Int
    ) throws(VectorError) {
        let blockStarts = Self.blockStarts(quantizer, starts)
        let blocks = try MappedMemory(byteCount: blockStarts.last!)
        let extra = try MappedMemory(byteCount: order.count * quantizer.rowBytes)
        blocks.preferHugePages()
        extra.preferHugePages()
        self.init(
            quantizer, starts: starts, blocks: MemorySlice(blocks.block(count: blockStarts.last!)),
            extra: MemorySlice(extra.block(count: order.count * quantizer.rowBytes)),
            centroids: centroids)
        let source = Source(rows: rows)
        ParallelWork.run(0..<listCount, chunk: Self.chunk, threads: threads) { [self] _, lists in
            order.withUnsafeBufferPointer { order in
                for list in lists where starts[list] < starts[list + 1] {
                    quantizer.encode(
                        source.rows, stride: stride, order: order.baseAddress! + starts[list],
                        count: starts[list + 1] - starts[list], center: center(of: list),
                        blocks: blocks.bytes(at: blockStarts[list]),
                        extra: extra.bytes(at: starts[list] * quantizer.rowBytes))
                }
            }
        }
    }

    /// The codes of a file's sections. Throws ``VectorError/Code/damaged`` unless they are as long as the
    /// lists need and every number in them is finite: then searches stay within them, whatever else they
    /// say. O(rows).
    convenience init(
        _ quantizer: RaBitQuantizer, starts: [Int], checking blocks: MemorySlice,
        _ extra: MemorySlice, centroids: UnsafePointer<Float>
    ) throws(VectorError) {
        let blockBytes = Self.blockStarts(quantizer, starts).last!
        let extraBytes = starts.last! * quantizer.rowBytes
        guard blocks.count == blockBytes, extra.count == extraBytes else {
            throw VectorError(
                .damaged,
                "RaBitQ: expected \(blockBytes) bytes of blocks and \(extraBytes) of rows, found "
                    + "\(blocks.count) and \(extra.count)")
        }
        self.init(quantizer, starts: starts, blocks: blocks, extra: extra, centroids: centroids)
        for list in 0..<listCount {
            guard
                cordwood_rabitq_is_sound(
                    quantizer.kernel, blocks.bytes(at: blockStarts[list]),
                    extra.bytes(at: starts[list] * quantizer.rowBytes),
                    starts[list + 1] - starts[list])
            else {
                throw VectorError(.damaged, "RaBitQ: list \(list) has a number that is not finite")
            }
        }
    }

    private init(
        _ quantizer: RaBitQuantizer, starts: [Int], blocks: MemorySlice, extra: MemorySlice,
        centroids: UnsafePointer<Float>
    ) {
        self.quantizer = quantizer
        self.starts = starts
        self.blocks = blocks
        self.extra = extra
        blockStarts = Self.blockStarts(quantizer, starts)
        let width = quantizer.rotation.rotatedDimensions
        centers = AlignedFloats(count: (starts.count - 1) * width)
        for list in 0..<starts.count - 1 {
            quantizer.rotate(
                centroids + list * quantizer.dimensions, into: centers.base + list * width)
        }
    }

    private static func blockStarts(_ quantizer: RaBitQuantizer, _ starts: [Int]) -> [Int] {
        zip(starts, starts.dropFirst()).reduce(into: [0]) { ends, list in
            ends.append(ends.last! + quantizer.blockBytes(count: list.1 - list.0))
        }
    }

    private struct Source: @unchecked Sendable {
        // Sendable although it holds unsafe memory, which nobody writes meanwhile.
        let rows: UnsafePointer<Float>
    }

    // MARK: Files

    /// The sections of an index's file; `docs/file-formats.md` has their bytes.
    var sections: [IndexFile.Section] {
        [
            .init(tag: "rabq", bytes: quantizer.encoded), .init(tag: "blck", bytes: blocks),
            .init(tag: "bits", bytes: extra),
        ]
    }

    /// The codes of a file with lists from `starts`, which rise from 0 to the number of rows, around
    /// centroids. Throws ``VectorError/Code/damaged``.
    convenience init(
        checking file: IndexFile, metric: Metric, dimensions: Int, starts: [Int],
        centroids: UnsafePointer<Float>
    ) throws(VectorError) {
        guard let encoded = file["rabq"], let blocks = file["blck"], let extra = file["bits"] else {
            throw VectorError(.damaged, "one of the sections rabq, blck and bits is missing")
        }
        let quantizer = try RaBitQuantizer(
            metric: metric, dimensions: dimensions, encoded: encoded)
        try self.init(
            quantizer, starts: starts, checking: blocks, extra, centroids: centroids)
    }

    // MARK: Searching

    /// What queries of a list are prepared relative to.
    func center(of list: Int) -> UnsafePointer<Float> {
        UnsafePointer(centers.base + list * quantizer.rotation.rotatedDimensions)
    }

    /// A list as scans take it. `ids` and `exact`, `stride` floats to a row, are by place; without exact
    /// rows, estimates are the result.
    func list(
        _ list: Int, ids: UnsafePointer<UInt64>, exact: UnsafePointer<Float>?, stride: Int
    ) -> cordwood_rabitq_list {
        let first = starts[list]
        return cordwood_rabitq_list(
            count: starts[list + 1] - first, blocks: blocks.bytes(at: blockStarts[list]),
            extra: extra.bytes(at: first * quantizer.rowBytes), ids: ids + first,
            first_place: first, exact: exact.map { $0 + first * stride }, exact_stride: stride)
    }
}

extension MemorySlice {
    fileprivate func bytes(at position: Int) -> UnsafePointer<UInt8>? {
        unsafeBytes.baseAddress.map { ($0 + position).assumingMemoryBound(to: UInt8.self) }
    }
}

extension MappedMemory {
    fileprivate func bytes(at position: Int) -> UnsafeMutablePointer<UInt8> {
        (base + position).assumingMemoryBound(to: UInt8.self)
    }
}
