internal import CCordwoodKernels

/// The memory of one search at a time, and the blocks that it waits for.
final class QueryLane {
    let walk: UnsafeMutablePointer<cordwood_disk_walk>
    /// How many blocks the search is to have in flight.
    var width = 1
    private(set) var isActive = false
    /// The number of the query in its batch.
    private(set) var query = 0
    /// How many blocks it has asked for and not taken in.
    private(set) var inFlight = 0

    private let number: Int
    private let products: ProductCodes
    private let scratch: WalkScratch
    private let table: AlignedFloats
    private let rows: AlignedFloats
    /// The blocks in flight, in the order in which they were asked for: a ring of as many places as
    /// there are slots.
    private var blocks = [Int](repeating: 0, count: DiskSearcher.maximumWidth)
    private var hasArrived = [Bool](repeating: false, count: DiskSearcher.maximumWidth)
    private var first = 0

    /// Records whose vectors are compared in one call.
    private static let rowsAtOnce = 16

    init(_ number: Int, _ parts: DiskParts, _ index: UnsafePointer<cordwood_disk>, ef: Int) {
        self.number = number
        products = parts.products
        scratch = WalkScratch(nodes: parts.layout.nodeCount, degree: parts.layout.degree, ef: ef)
        table = AlignedFloats(count: parts.products.tableCount)
        rows = AlignedFloats(count: Self.rowsAtOnce * parts.layout.dimensions)
        walk = .allocate(capacity: 1)
        walk.initialize(to: cordwood_disk_walk())
        walk.pointee.index = index
        walk.pointee.table = UnsafePointer(table.base)
        walk.pointee.rows = rows.base
        walk.pointee.scratch = scratch.kernel
    }

    deinit { walk.deallocate() }

    static func byteCount(_ layout: DiskLayout, parts: Int, ef: Int) -> Int {
        let floats = ProductCodes.tableCount(parts: parts) + rowsAtOnce * layout.dimensions
        return 4 * floats + layout.nodeCount / 8 + 8 * ef + WalkScratch.fixedBytes(layout.degree)
    }

    func makeRoom(ef: Int) {
        scratch.makeRoom(ef: ef)
        walk.pointee.scratch.pool = scratch.kernel.pool
    }

    /// Sets what is searched for, and where results go.
    func aim(_ task: DiskSearcher.Task, _ number: Int) {
        walk.pointee.query = cordwood_f32_query(
            query: task.query(number), dimensions: task.dimensions,
            metric: products.kernel.metric, base: products.kernel.base)
        walk.pointee.allowed = task.allowed
        walk.pointee.excluded = task.excluded?[number] ?? noNode
        walk.pointee.topk = task.heaps + number
    }

    /// Begins a search; the pool is filled next.
    func begin(_ task: DiskSearcher.Task, _ number: Int) {
        aim(task, number)
        query = number
        walk.pointee.ef = UInt32(task.plan.poolSize)
        products.fill(table: table.base, for: task.query(number))
        isActive = true
    }

    func end() {
        cordwood_disk_end(walk)
        isActive = false
    }

    /// The distance by its code of the nearest node that was not asked for, or infinity.
    var nearestUnread: Float {
        let state = walk.pointee
        guard state.cursor < state.pool_count else { return .infinity }
        return state.scratch.pool[Int(state.cursor)].distance
    }

    /// Whether the nodes that the walk kept in sight have at least `count` vectors that are allowed. `starts`
    /// has the places of each node's, or is nil where each has one.
    func hasInSight(_ count: Int, starts: UnsafePointer<UInt32>?) -> Bool {
        let state = walk.pointee
        guard let allowed = state.allowed else { return true }
        var found = 0
        for place in 0..<Int(state.pool_count) where found < count {
            // The highest bit says that it was followed.
            let node = Int(state.scratch.pool[place].node & UInt32(DiskIndex.maximumCount))
            let places =
                starts.map {
                    Int(UInt32(littleEndian: $0[node]))..<Int(UInt32(littleEndian: $0[node + 1]))
                } ?? node..<node + 1
            found += places.count { allowed[$0 / 64] >> UInt64($0 % 64) & 1 == 1 }
        }
        return found >= count
    }

    // MARK: Blocks in flight

    /// Puts a block behind the others, and returns the slot to read it into.
    func push(block: Int) -> Int {
        let place = (first + inFlight) % DiskSearcher.maximumWidth
        blocks[place] = block
        inFlight += 1
        return number * DiskSearcher.maximumWidth + place
    }

    func noteArrival(_ slot: Int) { hasArrived[slot % DiskSearcher.maximumWidth] = true }

    /// Takes the block that was asked for first, if it has arrived. Its slot may be read to when what it
    /// holds was taken in.
    func popArrived() -> (slot: Int, block: Int)? {
        guard inFlight > 0, hasArrived[first] else { return nil }
        let place = first
        hasArrived[place] = false
        first = (first + 1) % DiskSearcher.maximumWidth
        inFlight -= 1
        return (number * DiskSearcher.maximumWidth + place, blocks[place])
    }

    func dropArrived() {
        while popArrived() != nil {}
    }
}
