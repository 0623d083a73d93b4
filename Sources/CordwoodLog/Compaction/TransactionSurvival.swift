/// The offsets of a transaction that was aborted: from its first record to its marker.
struct AbortedRange: Equatable, Sendable {
    var producerID: Int64
    var offsets: ClosedRange<Int64>
}

/// What compaction may drop of transactions, batch by batch in the order of their offsets.
///
/// Records of aborted transactions may go at once. A marker must stay while anything of its
/// transaction is left: readers take what has no marker for open. The rules are Kafka's.
struct TransactionSurvival {
    /// Ranges of each producer, the one with the lowest offsets last.
    private var aborted: [Int64: [ClosedRange<Int64>]]
    /// Producers of which a batch has been seen since their last marker.
    private var observed: Set<Int64> = []

    init(aborted ranges: [AbortedRange]) {
        aborted = Dictionary(grouping: ranges, by: \.producerID).mapValues { ranges in
            ranges.map(\.offsets).sorted { $0.lowerBound > $1.lowerBound }
        }
    }

    /// Takes in a batch of records; true where its transaction was aborted.
    mutating func isAborted(_ header: BatchHeader) -> Bool {
        guard header.isTransactional else { return false }
        observed.insert(header.producerID)
        while let range = aborted[header.producerID]?.last, range.upperBound < header.baseOffset {
            aborted[header.producerID]?.removeLast()
        }
        guard let range = aborted[header.producerID]?.last else { return false }
        return range.contains(header.baseOffset)
    }

    /// Takes in a control batch; true where nothing is left of the transaction that it ends.
    mutating func isObsolete(marker header: BatchHeader) -> Bool {
        // One without records was emptied by an earlier pass, and has been obsolete since.
        observed.remove(header.producerID) == nil || header.recordCount == 0
    }
}
