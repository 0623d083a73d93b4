internal import CCordwoodKernels

/// The memory of one search at a time.
final class SearchScratch: @unchecked Sendable {
    // Sendable although it holds unsafe memory: one search at a time has it.

    var kernel = cordwood_hnsw_scratch()
    private let walk: WalkScratch
    private let query: AlignedFloats
    private let components: UnsafeMutableRawPointer?

    init(_ parts: HNSWParts, dimensions: Int, ef: Int) {
        let level = parts.graph.level(0)
        walk = WalkScratch(nodes: Int(level.count), degree: Int(level.degree), ef: ef)
        query = AlignedFloats(count: dimensions)
        kernel.query = query.base
        if let quantizer = parts.rows.kernel.quantizer {
            let byteCount = cordwood_code_query_bytes(quantizer)
            components = .allocate(byteCount: byteCount, alignment: 64)
            kernel.components = components!.bindMemory(to: Int8.self, capacity: byteCount)
        } else {
            components = nil
        }
        kernel.walk = walk.kernel
    }

    deinit { components?.deallocate() }

    func clearCounts() {
        kernel.walk.hop_count = 0
        kernel.walk.distance_count = 0
        kernel.exact_count = 0
    }

    func makeRoom(ef: Int) {
        walk.makeRoom(ef: ef)
        kernel.walk.pool = walk.kernel.pool
    }
}
