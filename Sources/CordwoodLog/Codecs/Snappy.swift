import CSnappy
import CordwoodStorage

/// Snappy in the frames of snappy-java, which Kafka's clients write: a header of 16 bytes, then
/// blocks, each a length (4 bytes, big-endian) and raw snappy.
///
/// Bytes without the header are read as one raw block, as Kafka's clients in other languages do.
enum Snappy {
    private static let magic: [UInt8] = [0x82, 0x53, 0x4E, 0x41, 0x50, 0x50, 0x59, 0]
    /// The magic, the version and the lowest version that can read it. Readers look at the magic
    /// only: some writers get the byte order of the other two wrong.
    private static let headerBytes = 16
    private static let version: Int32 = 1
    /// What one block holds at most, uncompressed, when this library writes it: snappy-java's size.
    private static let blockBytes = 32 << 10
    /// Three bytes of snappy copy 64 bytes at most. A block that claims more than this many times
    /// its size lies, and is refused before memory is reserved for it.
    private static let maximumRatio = 22

    static func inflate(
        _ bytes: UnsafeRawBufferPointer, into output: inout GrowingBuffer
    ) throws(CompressionProblem) {
        guard hasHeader(bytes) else { return try inflateBlock(bytes, into: &output) }
        var reader = ByteReader(bytes, at: headerBytes)
        while reader.remaining > 0 {
            // Streams may follow one another, each with its header.
            let rest = UnsafeRawBufferPointer(rebasing: bytes[reader.position...])
            if hasHeader(rest) {
                reader = ByteReader(bytes, at: reader.position + headerBytes)
                continue
            }
            guard let count = reader.bigEndian(Int32.self) else { throw .truncated }
            guard count > 0 else { throw .corrupt("a block of \(count) bytes") }
            guard let block = reader.bytes(Int(count)) else { throw .truncated }
            try inflateBlock(block, into: &output)
        }
    }

    private static func hasHeader(_ bytes: UnsafeRawBufferPointer) -> Bool {
        bytes.count >= headerBytes && bytes[..<magic.count].elementsEqual(magic)
    }

    private static func inflateBlock(
        _ block: UnsafeRawBufferPointer, into output: inout GrowingBuffer
    ) throws(CompressionProblem) {
        let start = block.baseAddress?.assumingMemoryBound(to: CChar.self)
        var size = 0
        guard snappy_uncompressed_length(start, block.count, &size) == SNAPPY_OK else {
            throw block.isEmpty ? .truncated : .corrupt("a block without a length")
        }
        guard size <= block.count * maximumRatio else {
            throw .corrupt("a block of \(block.count) bytes that claims to hold \(size)")
        }
        guard output.reserve(max(size, 1)) else { throw .tooLarge(limit: output.limit - 1) }
        let room = output.room.baseAddress?.assumingMemoryBound(to: CChar.self)
        guard snappy_uncompress(start, block.count, room, &size) == SNAPPY_OK else {
            throw .corrupt("a block that is not snappy")
        }
        output.advance(size)
    }

    static func compress(_ bytes: UnsafeRawBufferPointer, into output: inout GrowingBuffer) {
        magic.withUnsafeBytes { output.append($0) }
        for _ in 0..<2 {
            withUnsafeBytes(of: version.bigEndian) { output.append($0) }
        }
        var start = 0
        while start < bytes.count {
            let count = min(blockBytes, bytes.count - start)
            compressBlock(
                UnsafeRawBufferPointer(rebasing: bytes[start..<start + count]), into: &output)
            start += count
        }
    }

    private static func compressBlock(
        _ block: UnsafeRawBufferPointer, into output: inout GrowingBuffer
    ) {
        let lengthBytes = MemoryLayout<Int32>.size
        var size = snappy_max_compressed_length(block.count)
        precondition(
            output.reserve(lengthBytes + size), "the buffer is smaller than snappy's bound")
        let room = output.room
        let target = UnsafeMutableRawBufferPointer(rebasing: room[lengthBytes...])
        let result = snappy_compress(
            block.baseAddress?.assumingMemoryBound(to: CChar.self), block.count,
            target.baseAddress?.assumingMemoryBound(to: CChar.self), &size)
        precondition(result == SNAPPY_OK, "snappy's bound holds")
        room.storeBytes(of: Int32(size).bigEndian, as: Int32.self)
        output.advance(lengthBytes + size)
    }
}
