internal import CCordwoodKernels
internal import CordwoodStorage

/// The memory of the searches of one thread at a time, and how it takes several of them at once through
/// one reader, so that the disk always has something to do.
///
/// Each search takes in the blocks that it asked for in the order in which it asked, whichever comes
/// first, and asks for the next ones only then: what it finds does not depend on the disk, nor on the
/// searches beside it. While one waits, the others compute.
final class DiskSearcher: @unchecked Sendable {
    // Sendable although it holds unsafe memory: one thread at a time has it.

    /// Searches that are under way at once.
    static let lanes = 16
    /// Blocks that one search has in flight at first: while it is far from its goal, most of what it
    /// would ask for early is not needed later.
    static let firstWidth = 2
    /// Blocks that one search has in flight at most. It has one more each time that a block brought
    /// nothing nearer, since it has arrived then, and what is left in the pool will be read anyway
    /// (arXiv 2602.21514).
    static let maximumWidth = 8
    static let usualEffort = 128

    let parts: DiskParts
    let index: UnsafePointer<cordwood_disk>
    let reader: any RandomReader
    let queries: [QueryLane]
    /// Room for a record that is longer than a page.
    private let longRecord: UnsafeMutableRawPointer
    private let navigation: NavigationSearch
    /// Blocks that were read, of all searches so far.
    private(set) var reads = 0
    /// The queries of the last run whose walks saw fewer vectors that are allowed than are asked for:
    /// what they found lay in pages beside their way.
    private(set) var starved: [Int] = []

    init(
        _ parts: DiskParts, _ index: UnsafePointer<cordwood_disk>, ef: Int
    ) throws(VectorError) {
        self.parts = parts
        self.index = index
        do throws(StorageError) {
            reader = try parts.reads.makeReader(
                slotCount: Self.lanes * Self.maximumWidth, slotBytes: parts.layout.blockBytes)
        } catch { throw VectorError(.storage, "\(error)") }
        navigation = NavigationSearch(parts.navigation)
        queries = (0..<Self.lanes).map { QueryLane($0, parts, index, ef: ef) }
        longRecord = .allocate(
            byteCount: parts.layout.pagesPerBlock * DiskLayout.payloadBytes, alignment: 64)
    }

    deinit { longRecord.deallocate() }

    /// What one takes: its slots, its lanes and the bits of the navigation graph, whose nodes are a
    /// fraction of a lane's.
    static func byteCount(_ layout: DiskLayout, parts: Int, ef: Int = usualEffort) -> Int {
        lanes
            * (maximumWidth * layout.blockBytes
                + QueryLane.byteCount(layout, parts: parts, ef: ef))
            + QueryLane.byteCount(layout, parts: parts, ef: ef)
    }

    func makeRoom(ef: Int) {
        for query in queries { query.makeRoom(ef: ef) }
    }

    // MARK: Near neighbours

    /// What is searched for: queries of finite floats, at unit length for the cosine.
    struct Task {
        var queries: UnsafePointer<Float>
        var count: Int
        var plan: DiskPlan
        var allowed: UnsafePointer<UInt64>?
        /// For each query a node that is treated as if it were not there; nil for none.
        var excluded: [UInt32]?
        var heaps: UnsafeMutablePointer<cordwood_topk>
        var dimensions: Int

        func query(_ number: Int) -> UnsafePointer<Float> { queries + number * dimensions }
    }

    /// Searches by walks or scans. Throws ``VectorError/Code/storage`` or ``VectorError/Code/damaged``;
    /// nothing is in flight then.
    func run(_ task: Task) throws(VectorError) {
        var next = 0
        var active = 0
        var failure: VectorError?
        starved = []
        repeat {
            for lane in queries where !lane.isActive && next < task.count && failure == nil {
                begin(lane, task, next)
                next += 1
                if lane.isActive { active += 1 }
            }
            guard active > 0 else { continue }
            reader.complete(waits: true) { slot, result in
                queries[slot / Self.maximumWidth].noteArrival(slot)
                failure = failure ?? problem(with: result)
            }
            for lane in queries where lane.isActive {
                do throws(VectorError) {
                    if failure == nil { try takeIn(lane, task.plan) }
                } catch { failure = error }
                // After a failure a lane only waits for what is in flight.
                if failure != nil { lane.dropArrived() }
                if lane.inFlight == 0 {
                    if failure == nil, isStarved(lane, task) { starved.append(lane.query) }
                    lane.end()
                    active -= 1
                }
            }
        } while active > 0 || next < task.count && failure == nil
        if let failure { throw failure }
    }

    private func isStarved(_ lane: QueryLane, _ task: Task) -> Bool {
        task.plan.isWalk
            && !lane.hasInSight(
                Int(task.heaps[lane.query].capacity),
                starts: parts.starts?.pointer(to: UInt32.self))
    }

    private func begin(_ lane: QueryLane, _ task: Task, _ number: Int) {
        lane.begin(task, number)
        switch task.plan {
        case .walk:
            navigation.withNearest(to: task.query(number)) { nodes, count in
                cordwood_disk_begin(lane.walk, nodes, count)
            }
            lane.width = Self.firstWidth
        case .scan, .exact:
            cordwood_disk_scan(lane.walk, parts.starts?.pointer(to: UInt32.self))
            lane.width = Self.maximumWidth
        }
        ask(lane)
        // There was nothing to begin from.
        if lane.inFlight == 0 { lane.end() }
    }

    /// Has as many blocks in flight as the search is to have.
    private func ask(_ lane: QueryLane) {
        while lane.inFlight < lane.width {
            let block = cordwood_disk_next(lane.walk)
            guard block != UInt32(CORDWOOD_DISK_NO_BLOCK) else { return }
            start(slot: lane.push(block: Int(block)), block: Int(block))
        }
    }

    private func takeIn(_ lane: QueryLane, _ plan: DiskPlan) throws(VectorError) {
        while let (slot, block) = lane.popArrived() {
            let nearest = lane.nearestUnread
            try visit(
                lane.walk, slot: slot, block: block,
                plan.isWalk ? CORDWOOD_DISK_FOLLOW : CORDWOOD_DISK_COMPARE)
            if lane.nearestUnread >= nearest {
                lane.width = min(lane.width + 1, Self.maximumWidth)
            }
            ask(lane)
        }
    }

    // MARK: Blocks

    func position(ofBlock block: Int) -> Int {
        parts.pagePosition + block * parts.layout.blockBytes
    }

    /// Counts and begins the read of a block.
    func start(slot: Int, block: Int) {
        reader.start(slot: slot, at: position(ofBlock: block))
        reads += 1
    }

    /// Why a read brought no block, or nil.
    func problem(with result: Result<Int, StorageError>) -> VectorError? {
        switch result {
        case .success(parts.layout.blockBytes): nil
        case .success(let count):
            VectorError(
                .damaged,
                "expected a block of \(parts.layout.blockBytes) bytes, found \(count)")
        case .failure(let error): VectorError(.storage, "\(error)")
        }
    }

    /// Takes a block that was read in for a walk, once its pages match their checksums.
    func visit(
        _ walk: UnsafeMutablePointer<cordwood_disk_walk>, slot: Int, block: Int,
        _ kind: cordwood_disk_visit_kind
    ) throws(VectorError) {
        var damagedPage: Int?
        var isSound = false
        reader.withBytes(of: slot) { pages in
            pages.withUnsafeBytes { pages in
                damagedPage = DiskLayout.firstDamaged(pages, block: block)
                if damagedPage == nil {
                    isSound = cordwood_disk_visit(walk, UInt32(block), records(of: pages), kind)
                }
            }
        }
        if let damagedPage {
            throw VectorError(.damaged, "page \(damagedPage) does not match its checksum")
        }
        guard isSound else {
            throw VectorError(.damaged, "block \(block) has a record that makes no sense")
        }
    }

    /// The records of a block, side by side.
    private func records(of pages: UnsafeRawBufferPointer) -> UnsafePointer<UInt8> {
        if parts.layout.pagesPerBlock == 1 {
            return (pages.baseAddress! + DiskLayout.headBytes).assumingMemoryBound(to: UInt8.self)
        }
        for page in 0..<parts.layout.pagesPerBlock {
            let start = page * DiskLayout.pageBytes + DiskLayout.headBytes
            (longRecord + page * DiskLayout.payloadBytes).copyMemory(
                from: pages.baseAddress! + start, byteCount: DiskLayout.payloadBytes)
        }
        return UnsafePointer(longRecord.assumingMemoryBound(to: UInt8.self))
    }
}
