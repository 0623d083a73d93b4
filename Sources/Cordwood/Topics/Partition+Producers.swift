public import CordwoodLog

extension Partition {
    /// Appends records of an idempotent producer, so that one which does not know whether an append
    /// went through can send it again: it is appended once.
    ///
    /// `producerID` comes from ``Database/newProducerID()``; an epoch begins with `sequence` 0, and each
    /// record counts one. The records must fit one batch. Records that are already there, as one of
    /// the producer's last five appends, get the offsets that they have, as durable as asked for now.
    /// Appends of a producer to one partition must not overtake each other: wait for one before the
    /// next.
    ///
    /// Nothing was appended after ``LogError/Code/outOfOrderSequence`` (an append before this one is
    /// missing, or this one is too old to be known), ``LogError/Code/producerFenced`` (a higher epoch
    /// was there), ``LogError/Code/invalidTransactionState``, ``LogError/Code/invalidProducer`` and
    /// ``LogError/Code/tooManyProducers``. After ``LogError/Code/poisoned`` or
    /// ``LogError/Code/storage`` send the same again once the database was opened anew. A producer is
    /// forgotten `producerIDExpirationMilliseconds` after its last append, and may then begin with any
    /// sequence.
    public func append(
        _ records: [Record], producerID: Int64, epoch: Int16, sequence: Int32,
        acknowledge: Acknowledgement = .durable
    ) async throws(LogError) -> Receipt {
        let offsets = try await log.append(
            records,
            producer: ProducerSequence(
                producerID: producerID, epoch: epoch, baseSequence: sequence),
            acknowledge: acknowledge)
        return Receipt(positions: offsets.map { RecordPosition(partition: number, offset: $0) })
    }
}
