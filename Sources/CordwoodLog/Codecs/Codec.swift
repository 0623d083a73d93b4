import CordwoodStorage

/// How the records of a batch are compressed; the raw value is bits 0 to 2 of its attributes.
///
/// The formats are those of Kafka's clients: a gzip member, snappy in the frames of snappy-java, an
/// lz4 frame of independent blocks, a zstd frame. Everything here runs on the caller's thread and
/// may be called from any.
enum Codec: UInt8, Sendable, CaseIterable, CustomStringConvertible {
    case none = 0
    case gzip = 1
    case snappy = 2
    case lz4 = 3
    case zstd = 4

    /// The most that one batch may inflate to: what the largest batch could hold uncompressed.
    static let maximumInflatedBytes = BatchHeader.maximumByteCount

    var description: String {
        switch self {
        case .none: "none"
        case .gzip: "gzip"
        case .snappy: "snappy"
        case .lz4: "lz4"
        case .zstd: "zstd"
        }
    }

    /// What `bytes` inflate to, which must not be more than `limit`. O(bytes in + bytes out).
    ///
    /// The bytes are hostile: memory grows in steps with what was really inflated, or to a size
    /// that the compressed bytes could hold, and never passes `limit` by more than a byte.
    func inflate(
        _ bytes: UnsafeRawBufferPointer, limit: Int = maximumInflatedBytes
    ) throws(CompressionProblem) -> MemoryBlock {
        // One byte more than is allowed tells "exactly the limit" from "more".
        var output = GrowingBuffer(limit: limit + 1)
        switch self {
        case .none:
            guard bytes.count <= limit else { throw .tooLarge(limit: limit) }
            output.append(bytes)
        case .gzip: try Gzip.inflate(bytes, into: &output)
        case .snappy: try Snappy.inflate(bytes, into: &output)
        case .lz4: try LZ4.inflate(bytes, into: &output)
        case .zstd: try Zstd.inflate(bytes, into: &output)
        }
        guard output.count <= limit else { throw .tooLarge(limit: limit) }
        return output.finish()
    }
}

/// What is wrong with compressed bytes.
enum CompressionProblem: Error, Hashable, CustomStringConvertible {
    /// The compressed bytes end before the end that their format marks.
    case truncated
    /// They contradict their format; the text is the library's, or says what was found.
    case corrupt(String)
    /// They inflate to more than is allowed.
    case tooLarge(limit: Int)

    var description: String {
        switch self {
        case .truncated: "compressed bytes that end too early"
        case .corrupt(let what): "compressed bytes that do not hold together (\(what))"
        case .tooLarge(let limit): "compressed bytes that inflate to more than \(limit) bytes"
        }
    }
}
