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

extension CompressionType: CustomStringConvertible {
    /// The name, with the level where there is one: `zstd:3`.
    public var description: String {
        switch self {
        case .producer: "producer"
        case .uncompressed: "uncompressed"
        case .gzip(let level): "gzip:\(level)"
        case .snappy: "snappy"
        case .lz4(let level): "lz4:\(level)"
        case .zstd(let level): "zstd:\(level)"
        }
    }

    /// Reads what ``description`` writes, also without a level, which is the default then.
    init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        let level = parts.count == 2 ? Int(parts[1]) : nil
        guard parts.count == (level == nil ? 1 : 2) else { return nil }
        switch (parts[0], level) {
        case ("producer", nil): self = .producer
        case ("uncompressed", nil): self = .uncompressed
        case ("snappy", nil): self = .snappy
        case ("gzip", let level): self = level.map { .gzip(level: $0) } ?? .gzip()
        case ("lz4", let level): self = level.map { .lz4(level: $0) } ?? .lz4()
        case ("zstd", let level): self = level.map { .zstd(level: $0) } ?? .zstd()
        default: return nil
        }
    }
}
