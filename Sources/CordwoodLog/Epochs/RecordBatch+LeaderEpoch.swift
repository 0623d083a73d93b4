import CordwoodStorage

extension RecordBatch {
    /// The epoch of the leader that wrote the batch.
    public var leaderEpoch: Int32 {
        // `bytes` keeps the memory alive. A verified batch has a header.
        withExtendedLifetime(bytes) {
            precondition(bytes.count >= BatchHeader.byteCount, "a batch has a header")
            let epoch = bytes.unsafeBytes.loadUnaligned(
                fromByteOffset: BatchHeader.leaderEpochPosition, as: Int32.self)
            return Int32(bigEndian: epoch)
        }
    }
}
