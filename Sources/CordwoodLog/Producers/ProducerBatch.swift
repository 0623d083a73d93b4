/// What the log's memory of producers takes from a batch, which is all in the batch itself: the
/// live log and one that replays its batches come to the same state.
struct ProducerBatch: Hashable {
    enum Content: Hashable {
        /// Records, with the number of the first.
        case records(baseSequence: Int32, isTransactional: Bool)
        /// The end of a transaction. Nil where the record is gone (compaction) or is of a kind that
        /// this version does not know: such a batch changes nothing.
        case marker(ControlRecord?)
    }

    var producerID: Int64
    var epoch: Int16
    var content: Content
    /// How many offsets, and so sequence numbers, the batch spans. Compaction may have removed
    /// records of it, never their numbers.
    var span: Int
    var maxTimestamp: Int64

    init(
        producerID: Int64, epoch: Int16, content: Content, span: Int, maxTimestamp: Int64
    ) {
        self.producerID = producerID
        self.epoch = epoch
        self.content = content
        self.span = span
        self.maxTimestamp = maxTimestamp
    }

    /// Nil for a batch without a producer. O(1); the record of a control batch is decoded.
    init?(_ batch: RecordBatch) {
        guard let producer = batch.producer else { return nil }
        self.init(
            producerID: producer.producerID, epoch: producer.epoch,
            content: batch.isControl
                ? .marker(batch.control)
                : .records(
                    baseSequence: producer.baseSequence, isTransactional: producer.isTransactional),
            span: Int(batch.lastOffset - batch.baseOffset + 1), maxTimestamp: batch.maxTimestamp)
    }

    /// The number of the last record.
    func lastSequence(from base: Int32) -> Int32 {
        ProducerSequence.advance(base, by: span - 1)
    }
}
