/// What the log remembers of one producer.
package struct ProducerState: Sendable, Hashable {
    /// So many batches back, one that is sent again is recognised (Kafka's number).
    package static let rememberedBatches = 5

    package struct Batch: Sendable, Hashable {
        package var firstSequence: Int32
        package var lastSequence: Int32
        package var firstOffset: Int64
        package var lastOffset: Int64
        package var maxTimestamp: Int64
    }

    package internal(set) var epoch: Int16
    /// The newest batches of this epoch, oldest first, with consecutive sequence numbers.
    package internal(set) var batches: [Batch] = []
    /// Where the open transaction begins.
    package internal(set) var transactionStart: Int64?
    /// That of the newest marker; -1 before the first.
    package internal(set) var coordinatorEpoch: Int32 = -1
    /// The largest timestamp of the newest batch, which is all that a replay can know of the time.
    package internal(set) var lastActivity: Int64 = 0

    init(epoch: Int16) { self.epoch = epoch }

    /// The sequence number that the next batch of this epoch must begin with.
    var nextSequence: Int32 {
        batches.last.map { ProducerSequence.advance($0.lastSequence, by: 1) } ?? 0
    }

    mutating func raise(to epoch: Int16) {
        guard epoch != self.epoch else { return }
        self.epoch = epoch
        batches = []
    }

    mutating func append(_ batch: Batch) {
        // Only a producer whose state had expired comes back with another number.
        if batch.firstSequence != nextSequence { batches = [] }
        if batches.count == Self.rememberedBatches { batches.removeFirst() }
        batches.append(batch)
        lastActivity = batch.maxTimestamp
    }
}
