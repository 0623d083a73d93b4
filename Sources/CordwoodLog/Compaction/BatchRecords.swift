import CordwoodStorage

/// The records of a batch as bytes without a codec, and the codec to write them with again.
struct BatchRecords {
    /// How a batch's records are packed.
    struct Codec {
        fileprivate init() {}

        func encode(_ records: MemoryBlock) -> MemoryBlock? { records }
    }

    let codec: Codec
    private let bytes: UnsafeRawBufferPointer

    /// Nil where the codec is not known or the bytes do not unpack. `batch` must outlive it.
    init?(_ batch: UnsafeRawBufferPointer, _ header: BatchHeader) {
        guard header.attributes & BatchHeader.codecMask == 0 else { return nil }
        codec = Codec()
        bytes = UnsafeRawBufferPointer(rebasing: batch[BatchHeader.byteCount...])
    }

    func withBytes<Value>(_ body: (UnsafeRawBufferPointer) -> Value) -> Value { body(bytes) }
}
