extension HybridTimestamp {
    /// Eight bytes, big-endian, so that bytes sort as timestamps do.
    public func encoded() -> [UInt8] {
        withUnsafeBytes(of: rawValue.bigEndian) { Array($0) }
    }

    /// - Throws: ``CausalityError/Code/truncated`` or ``CausalityError/Code/trailingBytes`` unless
    ///   there are eight bytes.
    public init(decoding bytes: [UInt8]) throws(CausalityError) {
        guard bytes.count == 8 else {
            throw CausalityError(
                bytes.count < 8 ? .truncated : .trailingBytes,
                "timestamp: expected 8 bytes, found \(bytes.count)")
        }
        rawValue = bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }
}
