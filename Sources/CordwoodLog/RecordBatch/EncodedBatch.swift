package import CordwoodStorage

/// A batch that is ready to be appended: its bytes are final but for the base offset and the leader
/// epoch, which the log sets when it gives the batch its place.
package struct EncodedBatch: Sendable {
    package let block: MemoryBlock
    package let recordCount: Int

    package var byteCount: Int { block.count }

    /// Milliseconds since 1970-01-01 UTC.
    var maxTimestamp: Int64 {
        Int64(
            bigEndian: block.unsafeBytes.loadUnaligned(
                fromByteOffset: BatchHeader.maxTimestampPosition, as: Int64.self))
    }
}

extension EncodedBatch {
    /// Gives the batch its place. Only the log that is about to write it calls this, once, before
    /// any other thread sees the bytes; the CRC does not cover them.
    func assign(baseOffset: Int64, epoch: Int32) {
        let bytes = block.unsafeMutableBytes
        bytes.storeBytes(of: baseOffset.bigEndian, toByteOffset: 0, as: Int64.self)
        bytes.storeBytes(
            of: epoch.bigEndian, toByteOffset: BatchHeader.leaderEpochPosition,
            as: Int32.self)
    }

    /// Gives all records the log's time. Only the log that is about to queue the batch calls this,
    /// before any other thread sees the bytes. O(bytes), for the checksum.
    func stamp(appendTime: Int64) {
        let bytes = block.unsafeMutableBytes
        bytes.storeBytes(
            of: appendTime.bigEndian, toByteOffset: BatchHeader.maxTimestampPosition,
            as: Int64.self)
        bytes[BatchHeader.attributesPosition + 1] |= UInt8(BatchHeader.logAppendTimeFlag)
        seal()
    }

    /// Writes the checksum of what it covers. Only the one who builds the batch calls this, last.
    func seal() {
        let checksum = crc32c(
            UnsafeRawBufferPointer(rebasing: block.unsafeBytes[BatchHeader.checksummedFrom...]))
        block.unsafeMutableBytes.storeBytes(
            of: checksum.bigEndian, toByteOffset: BatchHeader.checksumPosition, as: UInt32.self)
    }

    /// The same batch with its records compressed, not sealed yet; nil when that makes it no
    /// smaller. The batch must have no codec so far.
    func compressed(as type: CompressionType) -> EncodedBatch? {
        guard type.codec != .none else { return nil }
        let bytes = block.unsafeBytes
        let small = type.compress(
            UnsafeRawBufferPointer(rebasing: bytes[BatchHeader.byteCount...]),
            behind: UnsafeRawBufferPointer(rebasing: bytes[..<BatchHeader.byteCount]))
        guard small.count < bytes.count else { return nil }
        let length = Int32(small.count - BatchHeader.lengthPrefixBytes)
        let target = small.unsafeMutableBytes
        target.storeBytes(
            of: length.bigEndian, toByteOffset: BatchHeader.batchLengthPosition, as: Int32.self)
        // The low byte of the attributes, where the codec's bits are.
        target[BatchHeader.attributesPosition + 1] |= type.codec.rawValue
        return EncodedBatch(block: small, recordCount: recordCount)
    }
}
