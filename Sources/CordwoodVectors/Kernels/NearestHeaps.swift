internal import CCordwoodKernels

/// The best neighbours so far of one or more queries, over one piece of memory.
struct NearestHeaps: ~Copyable {
    let heaps: UnsafeMutablePointer<cordwood_topk>
    private let count: Int
    private let room: UnsafeMutablePointer<cordwood_neighbor>

    /// Room for `capacity` neighbours, at least one, of each of `count` queries.
    init(count: Int, capacity: Int) {
        self.count = count
        heaps = .allocate(capacity: count)
        room = .allocate(capacity: count * capacity)
        for query in 0..<count {
            cordwood_topk_init(heaps + query, room + query * capacity, UInt32(capacity))
        }
    }

    deinit {
        heaps.deallocate()
        room.deallocate()
    }

    /// Each query's neighbours, nearest first, ties by the smaller id.
    consuming func sorted() -> [[Neighbor]] {
        (0..<count).map { query in
            cordwood_topk_sort(heaps + query)
            return UnsafeBufferPointer(
                start: heaps[query].heap, count: Int(heaps[query].count)
            ).map { Neighbor(id: $0.id, distance: $0.distance) }
        }
    }
}
