/// The bits of a batch's attributes, as Kafka defines them.
extension BatchHeader {
    static let codecMask: Int16 = 0x07
    static let logAppendTimeFlag: Int16 = 0x08
    static let transactionalFlag: Int16 = 0x10
    static let controlFlag: Int16 = 0x20
    static let deleteHorizonFlag: Int16 = 0x40

    /// Whether the log's clock stamped the records, and not the producer's.
    var isLogAppendTime: Bool { attributes & Self.logAppendTimeFlag != 0 }
    /// Whether the batch is part of a transaction, or ends one.
    var isTransactional: Bool { attributes & Self.transactionalFlag != 0 }
    /// Whether the batch holds a marker in the place of records.
    var isControl: Bool { attributes & Self.controlFlag != 0 }
}
