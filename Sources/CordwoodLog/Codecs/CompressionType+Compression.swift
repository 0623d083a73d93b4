import CordwoodStorage

extension CompressionType {
    /// The codec of the batches that this library encodes.
    var codec: Codec {
        switch self {
        case .producer, .uncompressed: .none
        case .gzip: .gzip
        case .snappy: .snappy
        case .lz4: .lz4
        case .zstd: .zstd
        }
    }

    /// Whether the level is one that the codec has.
    var isValid: Bool {
        switch self {
        case .producer, .uncompressed, .snappy: true
        case .gzip(let level): (1...9).contains(level)
        case .lz4(let level): (1...12).contains(level)
        case .zstd(let level): (1...19).contains(level)
        }
    }

    /// What `bytes` compress to, behind `prefix`. O(bytes), at the pace of the codec and its level.
    ///
    /// The same bytes, type and library give the same result.
    func compress(
        _ bytes: UnsafeRawBufferPointer,
        behind prefix: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
    ) -> MemoryBlock {
        // More than any codec's worst case, which each checks when it reserves room for it.
        var output = GrowingBuffer(limit: prefix.count + 2 * bytes.count + (64 << 10))
        output.append(prefix)
        switch self {
        case .producer, .uncompressed: output.append(bytes)
        case .gzip(let level): Gzip.compress(bytes, level: level, into: &output)
        case .snappy: Snappy.compress(bytes, into: &output)
        case .lz4(let level): LZ4.compress(bytes, level: level, into: &output)
        case .zstd(let level): Zstd.compress(bytes, level: level, into: &output)
        }
        return output.finish()
    }
}

extension Codec {
    /// The codec at its default level.
    var defaultType: CompressionType {
        switch self {
        case .none: .uncompressed
        case .gzip: .gzip()
        case .snappy: .snappy
        case .lz4: .lz4()
        case .zstd: .zstd()
        }
    }
}
