/// Holds a transaction index against the markers of its segment, in one walk over both. Pure; O(1)
/// a marker.
struct TransactionIndexCheck {
    private let index: TransactionIndex
    private var next = 0

    init(_ index: TransactionIndex) { self.index = index }

    /// Takes in the next marker that aborts a transaction. `aborted` is the transaction, as the
    /// batches before say; `isExact`, whether nothing is missing of those. Returns what the index
    /// has wrong up to there.
    mutating func arrive(
        at offset: Int64, producerID: Int64, aborted: AbortedTransaction?, isExact: Bool
    ) -> String? {
        guard next < index.entries.count, index.entries[next].lastOffset <= offset else {
            guard isExact, let aborted else { return nil }
            return "expected an entry for the abort marker at offset \(offset), for the "
                + "transaction \(aborted.summary), found none"
        }
        let entry = index.entries[next]
        next += 1
        guard entry.lastOffset == offset, entry.producerID == producerID else {
            return "entry \(next - 1) is for the transaction \(entry.summary): expected an abort "
                + "marker of that producer at offset \(entry.lastOffset), found none"
        }
        guard isExact, aborted != entry else { return nil }
        return "entry \(next - 1): expected "
            + (aborted.map { "the transaction \($0.summary)" } ?? "none for this marker")
            + ", found \(entry.summary)"
    }

    /// Takes in the segment's end. `stableOffset` is nil where the batches cannot tell it.
    func finish(stableOffset: Int64?) -> String? {
        if next < index.entries.count {
            let entry = index.entries[next]
            return "entry \(next) is for the transaction \(entry.summary): expected an abort "
                + "marker at offset \(entry.lastOffset), found none"
        }
        guard let stableOffset, stableOffset != index.stableOffset else { return nil }
        return "expected the last stable offset \(stableOffset), found \(index.stableOffset)"
    }
}

extension AbortedTransaction {
    /// As a problem names it.
    fileprivate var summary: String {
        "of producer \(producerID) from \(firstOffset) to \(lastOffset), stable up to "
            + "\(lastStableOffset)"
    }
}
