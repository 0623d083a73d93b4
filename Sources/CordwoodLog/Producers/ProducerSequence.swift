/// Where a batch stands in the sequence of an idempotent or transactional producer.
///
/// The log holds each batch against what it remembers of the producer, and so tells a batch that
/// is new from one that was sent again (which is acknowledged with the offsets that it already
/// has) and from one that must not be appended. The rules are Kafka's.
public struct ProducerSequence: Sendable, Hashable {
    /// 0 or more; unique to one producer of a database.
    public var producerID: Int64
    /// 0 or more. A higher epoch fences the lower ones of the same producer.
    public var epoch: Int16
    /// The number of the batch's first record, from 0 on in each epoch. Each record counts one;
    /// 0 follows `Int32.max`.
    public var baseSequence: Int32
    /// Whether the records belong to the producer's open transaction, or open one.
    public var isTransactional: Bool

    public init(
        producerID: Int64, epoch: Int16, baseSequence: Int32, isTransactional: Bool = false
    ) {
        self.producerID = producerID
        self.epoch = epoch
        self.baseSequence = baseSequence
        self.isTransactional = isTransactional
    }

    /// The sequence number `count` records behind `base`: `Int32.max` is followed by 0.
    package static func advance(_ base: Int32, by count: Int) -> Int32 {
        let span = Int(Int32.max) + 1
        return Int32((Int(base) + count % span) % span)
    }
}

/// How a transaction ends. Written to each of its partitions as a control batch.
public enum TransactionMarker: Int16, Sendable, Hashable, CaseIterable {
    // The numbers are Kafka's.
    case abort = 0
    case commit = 1
}

/// A transaction whose records readers of committed records must not see.
public struct AbortedTransaction: Sendable, Hashable {
    public var producerID: Int64
    /// The offset of the transaction's first record.
    public var firstOffset: Int64
    /// The offset of the marker that ended it.
    public var lastOffset: Int64
    /// The last stable offset right behind the marker: everything before it was decided.
    public var lastStableOffset: Int64

    public init(
        producerID: Int64, firstOffset: Int64, lastOffset: Int64, lastStableOffset: Int64
    ) {
        self.producerID = producerID
        self.firstOffset = firstOffset
        self.lastOffset = lastOffset
        self.lastStableOffset = lastStableOffset
    }
}

/// What a log knows of a producer.
public struct ProducerDescription: Sendable, Hashable {
    public var producerID: Int64
    public var epoch: Int16
    /// The number of its last record in this epoch; nil before the first.
    public var lastSequence: Int32?
    /// The largest timestamp of its newest batch.
    public var lastTimestamp: Int64
    /// Of the newest marker; nil before the first.
    public var coordinatorEpoch: Int32?
    /// Where its open transaction begins.
    public var transactionStart: Int64?
}
