import CordwoodStorage

/// The records of a batch as bytes without a codec, and the codec to write them with again.
struct BatchRecords {
    typealias Codec = CordwoodLog.Codec

    let codec: Codec
    private let bytes: UnsafeRawBufferPointer
    /// What the bytes lie in when they were inflated.
    private let inflated: MemoryBlock?

    /// Nil where the codec is not known or the bytes do not unpack. `batch` must outlive it.
    init?(_ batch: UnsafeRawBufferPointer, _ header: BatchHeader) {
        guard let codec = header.codec else { return nil }
        let packed = UnsafeRawBufferPointer(rebasing: batch[BatchHeader.byteCount...])
        self.codec = codec
        if codec == .none {
            inflated = nil
            bytes = packed
        } else {
            guard let block = try? codec.inflate(packed) else { return nil }
            inflated = block
            bytes = block.unsafeBytes
        }
    }

    func withBytes<Value>(_ body: (UnsafeRawBufferPointer) -> Value) -> Value {
        withExtendedLifetime(inflated) { body(bytes) }
    }
}

extension Codec {
    /// Packs records at the codec's default level: a batch does not say which its producer chose.
    func encode(_ records: MemoryBlock) -> MemoryBlock {
        guard self != .none else { return records }
        return withExtendedLifetime(records) {
            defaultType.compress(records.unsafeBytes)
        }
    }
}
