extension BatchHeader {
    static let attributesPosition = 21
    private static let codecMask: Int16 = 0b111
    private static let appendTimeBit: Int16 = 1 << 3

    /// How the records are compressed; nil for a number that Kafka gives no meaning.
    var codec: Codec? { Codec(rawValue: UInt8(attributes & Self.codecMask)) }

    /// Whether every record has the batch's maximum timestamp, the time at which it was appended,
    /// whatever the record itself says.
    var hasAppendTime: Bool { attributes & Self.appendTimeBit != 0 }
}
