/// How a log compresses the batches that it encodes itself. Kafka's `compression.type`.
///
/// Batches that come encoded keep the codec they have.
public enum CompressionType: Sendable, Hashable {
    /// As the producer sends it: what this library encodes is not compressed.
    case producer
    case uncompressed
    /// 1 to 9.
    case gzip(level: Int = 6)
    case snappy
    /// 1 to 12.
    case lz4(level: Int = 1)
    /// 1 to 19.
    case zstd(level: Int = 3)
}
