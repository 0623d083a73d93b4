import CordwoodStorage

extension BatchHeader {
    static let producerIDPosition = 43
    static let producerEpochPosition = 51
    static let baseSequencePosition = 53
}

extension EncodedBatch {
    /// Writes the producer's fields into a batch that nobody else has seen yet, and its checksum
    /// anew. O(bytes).
    func stamp(_ sequence: ProducerSequence) {
        stamp(
            producerID: sequence.producerID, epoch: sequence.epoch,
            baseSequence: sequence.baseSequence,
            attributes: sequence.isTransactional ? BatchHeader.transactionalFlag : 0)
    }

    /// What the producers' rules look at; nil for a batch without a producer. O(1).
    var producer: ProducerBatch? {
        let batch = MemorySlice(block)
        return BatchHeader(batch.unsafeBytes).flatMap { header in
            header.producerID < 0 ? nil : ProducerBatch(RecordBatch(verified: header, batch))
        }
    }

    /// The control batch that ends a transaction.
    static func marker(
        _ control: ControlRecord, producerID: Int64, epoch: Int16, now: Int64
    ) throws(LogError) -> EncodedBatch {
        let encoder = RecordBatchEncoder(maxMessageBytes: BatchHeader.maximumByteCount)
        let batch = try encoder.encode([control.record(timestamp: now)], now: now)[0]
        batch.stamp(
            producerID: producerID, epoch: epoch, baseSequence: -1,
            attributes: BatchHeader.transactionalFlag | BatchHeader.controlFlag)
        return batch
    }

    private func stamp(
        producerID: Int64, epoch: Int16, baseSequence: Int32, attributes: Int16
    ) {
        let bytes = block.unsafeMutableBytes
        func store<T: FixedWidthInteger>(_ value: T, at position: Int) {
            bytes.storeBytes(of: value.bigEndian, toByteOffset: position, as: T.self)
        }
        let place = BatchHeader.attributesPosition
        let old = Int16(bigEndian: bytes.loadUnaligned(fromByteOffset: place, as: Int16.self))
        store(old | attributes, at: place)
        store(producerID, at: BatchHeader.producerIDPosition)
        store(epoch, at: BatchHeader.producerEpochPosition)
        store(baseSequence, at: BatchHeader.baseSequencePosition)
        let checksummed = UnsafeRawBufferPointer(
            rebasing: UnsafeRawBufferPointer(bytes)[BatchHeader.checksummedFrom...])
        store(crc32c(checksummed), at: BatchHeader.checksumPosition)
    }
}
