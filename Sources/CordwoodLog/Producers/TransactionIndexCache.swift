import Synchronization

/// The transaction indexes of sealed segments that were read or written lately.
final class TransactionIndexCache: Sendable {
    private struct Cached {
        var indexes: [SegmentID: TransactionIndex] = [:]
        var entryCount = 0
    }

    /// Above this many transactions or segments, all is dropped and read again as it is needed.
    private static let maximumEntries = 1 << 18
    private static let maximumSegments = 1 << 12
    private let cached = Mutex(Cached())

    /// The index of a segment that ends at `end`.
    func find(_ id: SegmentID, end: Int64) -> TransactionIndex? {
        cached.withLock { $0.indexes[id].flatMap { $0.end == end ? $0 : nil } }
    }

    func insert(_ index: TransactionIndex, for id: SegmentID) {
        cached.withLock { cached in
            if cached.entryCount + index.entries.count > Self.maximumEntries
                || cached.indexes.count >= Self.maximumSegments
            {
                cached = Cached()
            }
            let old = cached.indexes.updateValue(index, forKey: id)
            cached.entryCount += index.entries.count - (old?.entries.count ?? 0)
        }
    }
}
