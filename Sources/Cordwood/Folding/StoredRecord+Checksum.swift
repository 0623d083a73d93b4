import CordwoodLog
import CordwoodStorage

extension StoredRecord {
    /// Of its time, key and value.
    var checksum: UInt32 {
        var head = ByteWriter(count: 24)
        head.littleEndian(timestamp)
        head.littleEndian(Int64(key?.count ?? -1))
        head.littleEndian(Int64(value?.count ?? -1))
        let block = head.finish()
        var checksum = withExtendedLifetime(block) { crc32c(block.unsafeBytes) }
        for part in [key, value] {
            part?.withUnsafeBytes { checksum = crc32c($0, seed: checksum) }
        }
        return checksum
    }
}
