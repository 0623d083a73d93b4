internal import CCordwoodKernels

/// The memory of one search at a time.
final class IVFScratch: @unchecked Sendable {
    // Sendable although it holds unsafe memory: one search at a time has it.

    private static let step = Int(CORDWOOD_SHORTLIST_STEP)

    var kernel = cordwood_ivf_scratch()
    private let query: AlignedFloats
    private let distances: AlignedFloats
    private let tableFloats: AlignedFloats
    private let bytes: UnsafeMutableRawPointer
    /// Of RaBitQ.
    private let rotated: AlignedFloats
    private let room: UnsafeMutableRawPointer

    init(_ parts: IVFParts) {
        var padded = parts.dimensions
        var components = parts.lists.ranking.queryBytes
        var tables = (floats: 0, bytes: 0)
        var (rotatedCount, roomBytes) = (0, 0)
        switch parts.codes?.quantizer {
        case .product(let quantizer):
            padded = quantizer.paddedDimensions
            tables.floats = cordwood_pq_table_floats(quantizer.kernel)
            tables.bytes = cordwood_pq_table_bytes(quantizer.kernel)
        case .scalar(let quantizer): components = max(components, quantizer.queryBytes)
        case .rabitq(let codes):
            rotatedCount = codes.quantizer.rotation.rotatedDimensions
            roomBytes = codes.quantizer.queryBytes
        case nil: break
        }
        query = AlignedFloats(count: padded)
        distances = AlignedFloats(count: parts.lists.count)
        tableFloats = AlignedFloats(count: tables.floats)
        rotated = AlignedFloats(count: rotatedCount)
        room = .allocate(byteCount: roomBytes, alignment: 64)
        bytes = .allocate(byteCount: components + tables.bytes, alignment: 64)
        kernel.query = query.base
        kernel.rotated = rotated.base
        kernel.rabitq_room = room.bindMemory(to: UInt8.self, capacity: roomBytes)
        kernel.distances = distances.base
        kernel.table_floats = tableFloats.base
        kernel.components = bytes.bindMemory(to: Int8.self, capacity: components)
        kernel.table_bytes = (bytes + components).bindMemory(
            to: UInt8.self, capacity: tables.bytes)
        kernel.lists = .allocate(capacity: 2 * (parts.lists.count + Self.step))
    }

    deinit {
        bytes.deallocate()
        room.deallocate()
        kernel.lists.deallocate()
        kernel.keys?.deallocate()
    }

    /// Makes room for so many vectors that are compared again.
    func makeRoom(refined: Int) {
        let room = 2 * (refined + Self.step)
        guard room > Int(kernel.key_room) else { return }
        kernel.keys?.deallocate()
        kernel.keys = .allocate(capacity: room)
        kernel.key_room = UInt32(room)
    }
}
