import CordwoodStorage

/// What compaction reads and writes in a batch's header.
extension BatchHeader {
    /// The time, in milliseconds since 1970, from which the batch's tombstones may go: as in Kafka
    /// since 3.1, compaction writes it in place of the base timestamp, makes the records' deltas
    /// relative to it, and sets bit 6 of the attributes. So base timestamp + delta is a record's
    /// timestamp with the bit and without it.
    var deleteHorizon: Int64? {
        attributes & Self.deleteHorizonFlag == 0 ? nil : baseTimestamp
    }

    /// Writes the 61 bytes, the checksum as it is.
    func write(to writer: inout ByteWriter) {
        writer.bigEndian(baseOffset)
        writer.bigEndian(batchLength)
        writer.bigEndian(partitionLeaderEpoch)
        writer.bigEndian(magic)
        writer.bigEndian(checksum)
        writer.bigEndian(attributes)
        writer.bigEndian(lastOffsetDelta)
        writer.bigEndian(baseTimestamp)
        writer.bigEndian(maxTimestamp)
        writer.bigEndian(producerID)
        writer.bigEndian(producerEpoch)
        writer.bigEndian(baseSequence)
        writer.bigEndian(recordCount)
    }
}
