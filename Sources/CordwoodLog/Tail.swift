import CordwoodStorage

/// The newest batches, in memory, so that readers at the tail touch no file.
///
/// Holds the very blocks that were written, so it costs no copy; drops the oldest beyond its bound.
struct Tail {
    /// The most batches one read takes: it runs under a lock that the writer needs.
    static let maximumBatches = 1024

    private let maximumBytes: Int
    /// Those before `head` are gone; they are cut off when they are half of the array, so that
    /// dropping one costs O(1) on average.
    private var batches: [RecordBatch] = []
    private var head = 0
    private var byteCount = 0

    init(maximumBytes: Int) { self.maximumBytes = maximumBytes }

    mutating func append(_ batch: RecordBatch) {
        batches.append(batch)
        byteCount += batch.byteCount
        while byteCount > maximumBytes, head < batches.count {
            byteCount -= batches[head].byteCount
            head += 1
        }
        if head * 2 > batches.count {
            batches.removeFirst(head)
            head = 0
        }
    }

    /// Drops the batches that begin before `offset`: compaction has written them anew.
    mutating func removeAll(before offset: Int64) {
        while head < batches.count, batches[head].baseOffset < offset {
            byteCount -= batches[head].byteCount
            head += 1
        }
        if head * 2 > batches.count {
            batches.removeFirst(head)
            head = 0
        }
    }

    /// Batches from the one that holds `offset` on, about `maximumBytes` of them, at least one
    /// and at most ``maximumBatches``; nil when `offset` is older than the tail. O(log n) and the
    /// result.
    func read(from offset: Int64, maximumBytes: Int) -> [RecordBatch]? {
        guard head < batches.count, batches[head].baseOffset <= offset else { return nil }
        var low = head
        var high = batches.count
        while low < high {
            let middle = (low + high) / 2
            if batches[middle].lastOffset < offset { low = middle + 1 } else { high = middle }
        }
        var result: [RecordBatch] = []
        var bytes = 0
        while low < batches.count, result.count < Self.maximumBatches,
            result.isEmpty || bytes + batches[low].byteCount <= maximumBytes
        {
            result.append(batches[low])
            bytes += batches[low].byteCount
            low += 1
        }
        return result
    }
}
