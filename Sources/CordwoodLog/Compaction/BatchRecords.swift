import CordwoodStorage

/// The records of a batch as bytes without a codec, and the codec to write them with again.
struct BatchRecords {
    private let codec: Codec
    /// What was inflated; nil where nothing was compressed.
    private let inflated: MemoryBlock?
    private let batch: UnsafeRawBufferPointer

    /// Nil where the codec is not known or the bytes do not inflate. `batch` must outlive it.
    init?(_ batch: UnsafeRawBufferPointer, _ header: BatchHeader) {
        guard let codec = header.codec else { return nil }
        self.codec = codec
        self.batch = UnsafeRawBufferPointer(rebasing: batch[BatchHeader.byteCount...])
        if codec == .none {
            inflated = nil
        } else {
            guard let block = try? codec.inflate(self.batch) else { return nil }
            inflated = block
        }
    }

    func withBytes<Value>(_ body: (UnsafeRawBufferPointer) -> Value) -> Value {
        guard let inflated else { return body(batch) }
        return withExtendedLifetime(inflated) { body(inflated.unsafeBytes) }
    }

    /// The same codec over other records, at its usual level: the producer's is not known.
    func encode(_ records: MemoryBlock) -> MemoryBlock {
        guard codec != .none else { return records }
        return withExtendedLifetime(records) { codec.defaultType.compress(records.unsafeBytes) }
    }
}
