import CCordwoodChecksum

/// CRC-32C (Castagnoli), continued from `seed`: the polynomial of Kafka's batches, iSCSI and ext4.
@inline(__always)
package func crc32c(_ bytes: UnsafeRawBufferPointer, seed: UInt32 = 0) -> UInt32 {
    cordwood_crc32c(seed, bytes.baseAddress, bytes.count)
}

/// A checksum over everything a segment holds, batch after batch.
///
/// Kafka's CRC leaves the first 17 bytes of a batch unprotected (base offset, length, leader epoch,
/// magic). The chain closes the gap for the price of 21 bytes a batch: it runs CRC-32C over each
/// batch's first 21 bytes, the last four of which are the CRC of the rest. Index entries,
/// watermarks and seals carry its value, so a reader that arrives at one has verified every byte
/// before it.
struct BatchChain: Equatable {
    private(set) var value: UInt32

    init(value: UInt32) { self.value = value }

    /// The chain of an empty segment, distinct for each log and segment, so that a segment which
    /// was swapped with another cannot pass.
    init(logID: UInt64, baseOffset: Int64) {
        value = withUnsafeBytes(of: (logID.littleEndian, baseOffset.littleEndian)) { crc32c($0) }
    }

    /// Takes in a batch, by its first ``BatchHeader/checksummedFrom`` bytes.
    mutating func absorb(_ batch: UnsafeRawBufferPointer) {
        value = crc32c(
            UnsafeRawBufferPointer(rebasing: batch[..<BatchHeader.checksummedFrom]), seed: value)
    }
}
