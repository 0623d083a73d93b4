internal import CCordwoodKernels

/// The queries of one call, and what their searches have in common.
struct SearchRun {
    /// How many nodes a step of a walk follows; see `cordwood_graph_search`.
    ///
    /// What a step costs beside its distances is shared by those it follows, and the last few of them
    /// are followed too early. Of a large pool nearly all would be followed later all the same, so
    /// that a wider beam is almost free. Around what is forbidden a step has its detours, whose number
    /// is limited.
    private static func beam(ef: Int, detours: Int) -> UInt32 {
        detours > 0 ? 6 : UInt32(min(6 + ef / 20, 12))
    }

    let kernel: UnsafePointer<cordwood_hnsw>
    let scratch: SearchScratch
    let filter: UnsafePointer<cordwood_hnsw_filter>?
    /// How many nodes have a vector that may be returned.
    let allowedNodes: Int
    let queries: UnsafePointer<Float>
    let dimensions: Int
    /// One for each query, with room for as many as there must be.
    let heaps: UnsafeMutablePointer<cordwood_topk>

    /// Searches for some of the queries by a plan, whatever was found for them before; returns those
    /// for which it was not enough.
    func search(_ numbers: [Int], _ plan: SearchPlan) -> [Int] {
        for number in numbers {
            let heap = heaps + number
            cordwood_topk_init(heap, heap.pointee.heap, heap.pointee.capacity)
        }
        switch plan {
        case .exact: for number in numbers { scan(number, refined: 0) }
        case .scan(let refined): for number in numbers { scan(number, refined: refined) }
        case .sharedScan(let refined): scanTogether(numbers, refined: refined)
        case .walk(let ef, let refined, let detours):
            var effort = cordwood_hnsw_effort(
                ef: UInt32(ef), beam: Self.beam(ef: ef, detours: detours),
                refined: UInt32(refined),
                detours: UInt32(detours))
            return numbers.filter { number in
                let found = cordwood_hnsw_search(
                    kernel, queries + number * dimensions, &effort, filter, &scratch.kernel,
                    heaps + number)
                // A walk around what is forbidden may have ended on an island.
                let isCutOff = detours > 0 && Int(found) < min(ef, allowedNodes)
                return isCutOff || isShort(number)
            }
        }
        return numbers.filter(isShort)
    }

    private func isShort(_ number: Int) -> Bool {
        heaps[number].count < heaps[number].capacity
    }

    private func scan(_ number: Int, refined: Int) {
        cordwood_hnsw_scan(
            kernel, queries + number * dimensions, filter, UInt32(refined), &scratch.kernel,
            heaps + number)
    }

    private func scanTogether(_ numbers: [Int], refined: Int) {
        let shared = SharedScan(kernel, refined: refined, queries: numbers.count)
        for first in stride(from: 0, to: numbers.count, by: shared.capacity) {
            let some = numbers[first..<min(first + shared.capacity, numbers.count)]
            for (place, number) in some.enumerated() {
                shared.queries[place].vector = queries + number * dimensions
                shared.queries[place].topk = heaps + number
            }
            cordwood_hnsw_scan_shared(
                kernel, filter, shared.queries, some.count, UInt32(refined), shared.tiles,
                &scratch.kernel)
        }
    }
}

/// The memory of queries that share a scan.
struct SharedScan: ~Copyable {
    /// What queries that gather codes once may take.
    private static let queriesBytes = 4 << 20

    /// How many queries share what is gathered.
    let capacity: Int
    let queries: UnsafeMutablePointer<cordwood_hnsw_shared_query>
    let tiles: UnsafeMutablePointer<cordwood_hnsw_tiles>
    private let components: UnsafeMutableRawPointer
    private let keys: UnsafeMutablePointer<UInt64>

    /// For up to `count` queries of an index of codes.
    init(_ index: UnsafePointer<cordwood_hnsw>, refined: Int, queries count: Int) {
        let quantizer = index.pointee.rows.quantizer!
        let componentBytes = cordwood_code_query_bytes(quantizer)
        let keyCount = 2 * (refined + Int(CORDWOOD_SHORTLIST_STEP))
        let each =
            componentBytes + keyCount * MemoryLayout<UInt64>.stride
            + MemoryLayout<cordwood_hnsw_shared_query>.stride
        capacity = max(1, min(count, Self.queriesBytes / each))
        components = .allocate(byteCount: capacity * componentBytes, alignment: 64)
        keys = .allocate(capacity: capacity * keyCount)
        queries = .allocate(capacity: capacity)
        for query in 0..<capacity {
            var shared = cordwood_hnsw_shared_query()
            shared.components = (components + query * componentBytes)
                .bindMemory(to: Int8.self, capacity: componentBytes)
            shared.keys = keys + query * keyCount
            (queries + query).initialize(to: shared)
        }
        let blockBytes =
            Int(CORDWOOD_FLAT_BLOCK / CORDWOOD_FLAT_GROUP) * cordwood_flat_group_bytes(quantizer)
        tiles = .allocate(capacity: 1)
        tiles.initialize(to: cordwood_hnsw_tiles())
        tiles.pointee.codes = UnsafeMutableRawPointer.allocate(
            byteCount: blockBytes, alignment: 64
        ).initializeMemory(as: UInt8.self, repeating: 0, count: blockBytes)
    }

    deinit {
        tiles.pointee.codes.deallocate()
        tiles.deallocate()
        queries.deallocate()
        keys.deallocate()
        components.deallocate()
    }
}
