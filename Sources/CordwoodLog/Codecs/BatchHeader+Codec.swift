extension BatchHeader {
    /// How the records are compressed; nil for a number that Kafka gives no meaning.
    var codec: Codec? { Codec(rawValue: UInt8(attributes & Self.codecMask)) }
}
