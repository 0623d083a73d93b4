import CordwoodStorage

extension RecordBatch {
    /// Who wrote the batch; nil for one without a producer. The sequence of a control batch is -1.
    public var producer: ProducerSequence? {
        guard let header, header.producerID >= 0 else { return nil }
        return ProducerSequence(
            producerID: header.producerID, epoch: header.producerEpoch,
            baseSequence: header.baseSequence, isTransactional: header.isTransactional)
    }

    /// Whether the batch ends a transaction and holds no records of a caller.
    public var isControl: Bool { header?.isControl ?? false }

    /// Whether the batch belongs to a transaction, as records or as its end.
    public var isTransactional: Bool { header?.isTransactional ?? false }

    /// How a control batch ends its transaction; nil for other batches, and for a control batch of
    /// a kind that this version does not know or whose record compaction has removed.
    public var marker: TransactionMarker? { control?.marker }

    /// What a control batch says.
    var control: ControlRecord? {
        guard isControl, var records = try? RecordReader(self), let record = try? records.next()
        else { return nil }
        return ControlRecord(key: record.key, value: record.value)
    }

    /// The same as ``producer`` not being nil, for the price of one load.
    var hasProducer: Bool {
        withExtendedLifetime(bytes) {
            let place = BatchHeader.producerIDPosition
            guard bytes.count >= BatchHeader.byteCount else { return false }
            let id = bytes.unsafeBytes.loadUnaligned(fromByteOffset: place, as: Int64.self)
            return Int64(bigEndian: id) >= 0
        }
    }

    private var header: BatchHeader? {
        // `bytes` keeps the memory alive.
        withExtendedLifetime(bytes) { BatchHeader(bytes.unsafeBytes) }
    }
}
