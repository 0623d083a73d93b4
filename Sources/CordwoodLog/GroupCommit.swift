import CordwoodStorage

/// Decides which batches are written together, and who learns of it: the rules of group commit,
/// without any I/O.
///
/// Batches queue while a group is being written and synced; the next group takes all that fit. One
/// sync serves every waiter of its group, and none is asked for when nobody waits for one.
/// `Waiter` stands for whatever is to be told when a batch's group is done.
struct GroupCommit<Waiter> {
    struct Entry {
        var batch: EncodedBatch
        var baseOffset: Int64
        var acknowledge: Acknowledgement
        /// Present on the last batch of an append that waits.
        var waiter: Waiter?
    }

    /// The offset that the next record will get.
    private(set) var nextOffset: Int64
    /// Bytes that have been queued and not yet been written.
    private(set) var queuedBytes = 0
    /// Those before `head` were taken; they are cut off when they are half of the array, so that
    /// taking one costs O(1) on average.
    private var queue: [Entry] = []
    private var head = 0

    init(nextOffset: Int64) { self.nextOffset = nextOffset }

    var isEmpty: Bool { head == queue.count }

    /// Queues the batches of one append, side by side, and returns the offsets they got.
    mutating func enqueue(
        _ batches: [EncodedBatch], acknowledge: Acknowledgement, waiter: Waiter?
    ) -> Range<Int64> {
        let first = nextOffset
        for (index, batch) in batches.enumerated() {
            queue.append(
                Entry(
                    batch: batch, baseOffset: nextOffset, acknowledge: acknowledge,
                    waiter: index == batches.count - 1 ? waiter : nil))
            nextOffset += Int64(batch.recordCount)
            queuedBytes += batch.byteCount
        }
        return first..<nextOffset
    }

    /// Takes the longest run from the front of the queue that fits into `room` bytes and `offsets`
    /// of the segment and one group; empty when the first batch does not fit the segment, which
    /// must be rolled.
    mutating func takeGroup(
        room: Int, offsets: Int = Int(Int32.max), limits: Limits
    ) -> [Entry] {
        var count = 0
        var bytes = 0
        var records = 0
        while head + count < queue.count, count < limits.batches {
            let next = bytes + queue[head + count].batch.byteCount
            // The first batch may be larger than a group, never than the segment's room.
            if next > room || (count > 0 && next > limits.bytes) { break }
            // By offsets a batch may be far larger than by bytes: it is compressed.
            records += queue[head + count].batch.recordCount
            if records > offsets { break }
            bytes = next
            count += 1
        }
        let group = Array(queue[head..<head + count])
        head += count
        if head * 2 >= queue.count {
            queue.removeFirst(head)
            head = 0
        }
        queuedBytes -= bytes
        return group
    }

    /// Whether something is queued whose append has returned.
    var hasUnwaited: Bool { queue[head...].contains { $0.acknowledge == .memory } }

    struct Limits {
        var bytes: Int
        /// Bounds the vectors of one write.
        var batches: Int
    }

    /// Empties the queue after a failure, or a truncation to `end`, and returns everyone who waited
    /// in it.
    mutating func fail(resumingAt end: Int64? = nil) -> [Waiter] {
        defer {
            if let end { nextOffset = end }
            queue = []
            head = 0
            queuedBytes = 0
        }
        return queue[head...].compactMap(\.waiter)
    }
}
