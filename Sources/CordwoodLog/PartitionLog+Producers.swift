import CordwoodStorage

extension PartitionLog {
    public nonisolated func append(
        _ records: [Record], producer: ProducerSequence?, acknowledge: Acknowledgement = .durable
    ) async throws(LogError) -> Range<Int64> {
        guard let producer else { return try await append(records, acknowledge: acknowledge) }
        try checkKeys(records)
        let batches = try RecordBatchEncoder(configuration)
            .encode(records, now: storage.clock.millisecondsNow())
        guard batches.count == 1, producer.producerID >= 0 else {
            throw LogError(
                .invalidProducer,
                "producer \(producer.producerID): expected an id of 0 or more and records that fit "
                    + "one batch, found \(records.count) records in \(batches.count) batches; "
                    + "nothing was appended")
        }
        batches[0].stamp(producer)
        return try await append(batches, acknowledge: acknowledge)
    }

    public nonisolated func appendMarker(
        _ marker: TransactionMarker, producerID: Int64, epoch: Int16, coordinatorEpoch: Int32,
        acknowledge: Acknowledgement = .durable
    ) async throws(LogError) -> Int64 {
        guard producerID >= 0 else {
            throw LogError(
                .invalidProducer, "expected a producer id of 0 or more, found \(producerID)")
        }
        let batch = try EncodedBatch.marker(
            ControlRecord(marker, coordinatorEpoch: coordinatorEpoch), producerID: producerID,
            epoch: epoch, now: storage.clock.millisecondsNow())
        return try await append([batch], acknowledge: acknowledge).lowerBound
    }

    public nonisolated func check(_ records: [Record]) throws(LogError) {
        try checkKeys(records)
        try RecordBatchEncoder(configuration).check(records, now: storage.clock.millisecondsNow())
    }

    public nonisolated func batches(_ records: [Record]) throws(LogError) -> [Int] {
        try RecordBatchEncoder(configuration)
            .batchCounts(records, now: storage.clock.millisecondsNow())
    }

    public func producers() -> [ProducerDescription] {
        ledger.published.states.producers.sorted { $0.key < $1.key }.map { id, producer in
            ProducerDescription(
                producerID: id, epoch: producer.epoch,
                lastSequence: producer.batches.last?.lastSequence,
                lastTimestamp: producer.lastActivity,
                coordinatorEpoch: producer.coordinatorEpoch < 0 ? nil : producer.coordinatorEpoch,
                transactionStart: producer.transactionStart)
        }
    }

    public func expireProducers(now: Int64) {
        ledger.expire(now: now, after: configuration.producerIDExpirationMilliseconds)
    }

    /// Gives batches that are about to be queued the log's time, where the configuration says so:
    /// here, so that times are in the order of the offsets.
    func stamp(_ batches: [EncodedBatch]) {
        guard configuration.messageTimestampType == .logAppendTime else { return }
        let now = storage.clock.millisecondsNow()
        for batch in batches { batch.stamp(appendTime: now) }
    }

    /// Holds an append's batches against their producers' states. Returns the offsets that they
    /// have already, or nil when they are to be queued, which must follow without a suspension.
    func admit(_ batches: [EncodedBatch]) throws(LogError) -> Range<Int64>? {
        guard let producer = batches.first?.producer ?? batches.dropFirst().firstProducer else {
            return nil
        }
        do throws(LogError) {
            guard batches.count == 1 else {
                throw LogError(
                    .invalidProducer,
                    "expected one batch of a producer in an append, found \(batches.count)")
            }
            switch try ledger.admit(producer, at: commit.nextOffset) {
            case .append: return nil
            case .duplicate(let offsets):
                // The room that this append was given is free.
                admitWaiters()
                state.publish { $0.statistics.duplicateBatches += 1 }
                return offsets
            }
        } catch {
            admitWaiters()
            throw error
        }
    }

    /// Notes in the manifest that the log has producers, before the first batch of one is written:
    /// a log without the note need not look for their state when it is opened.
    func noteProducers() async throws(StorageError) {
        guard manifest.manifest.producersSince == nil, ledger.queued.count > 0 else { return }
        let offset = active.end.nextOffset
        try await manifest.commit([.producers(since: offset)])
        state.publish { $0.transactions.producersSince = offset }
    }
}

extension ArraySlice<EncodedBatch> {
    fileprivate var firstProducer: ProducerBatch? {
        for batch in self { if let producer = batch.producer { return producer } }
        return nil
    }
}

// MARK: - Waiting for another's append

extension PartitionLog {
    public func wait(
        for offsets: Range<Int64>, _ acknowledge: Acknowledgement
    ) async throws(LogError) {
        let end = offsets.upperBound
        let truncations = state.read { $0.truncations.count }
        while acknowledge != .memory {
            let (written, durable, cuts) = state.read {
                ($0.end.nextOffset, $0.durableOffset, $0.truncations.dropFirst(truncations))
            }
            if let cut = cuts.min(), cut < end {
                throw fullDisk?.reason
                    ?? LogError(
                        .truncated, "\(directory) was cut to offset \(cut)", resumeOffset: cut)
            }
            if durable >= end || (acknowledge == .written && written >= end) { return }
            if let failure { throw poisoned(by: failure) }
            if written >= end {
                try await flush()
            } else if let fullDisk {
                throw fullDisk.reason
            } else {
                // Its group is in the queue or on its way.
                guard commit.nextOffset >= end, isCommitting else {
                    throw LogError(
                        .storage, "the batch at offset \(offsets.lowerBound) was not written")
                }
                await groupWaiters.wait { isCommitting && state.read { $0.end.nextOffset < end } }
            }
        }
    }
}
