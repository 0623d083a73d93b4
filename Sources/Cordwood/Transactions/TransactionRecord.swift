import CordwoodLog

/// A record of `__transaction_state`: a transaction's state in Kafka's formats (key version 0,
/// value version 0), the tombstone of one that expired, or, under a key of this library's own, the
/// producer ids that are taken. Layout in `docs/file-formats.md`, "Transaction state".
enum TransactionRecord: Equatable {
    case state(id: String, TransactionState)
    /// The id expired: a tombstone, as Kafka writes it.
    case forgotten(id: String)
    /// Every producer id before this one may be in use.
    case producerIDs(next: Int64)

    static let maximumIDBytes = 249
    private static let stateKey: Int16 = 0
    /// Far from Kafka's numbers.
    private static let producerIDsKey: Int16 = 0x4001
    private static let valueVersion: Int16 = 0

    func encode() -> Record {
        var key = StateWriter()
        var value = StateWriter()
        value.number(Self.valueVersion)
        switch self {
        case .producerIDs(let next):
            key.number(Self.producerIDsKey)
            value.number(next)
        case .forgotten(let id):
            key.number(Self.stateKey)
            key.text(id)
            return Record(key: key.bytes, value: nil)
        case .state(let id, let state):
            key.number(Self.stateKey)
            key.text(id)
            value.number(state.producerID)
            value.number(state.epoch)
            value.number(state.timeoutMilliseconds)
            value.number(state.status.rawValue)
            let topics = Dictionary(grouping: state.partitions, by: \.topic)
            value.number(Int32(topics.count))
            for (topic, partitions) in topics.sorted(by: { $0.key < $1.key }) {
                value.text(topic)
                value.number(Int32(partitions.count))
                for place in partitions.sorted() { value.number(Int32(place.partition)) }
            }
            value.number(state.updatedAt)
            value.number(state.startedAt)
        }
        return Record(key: key.bytes, value: value.bytes)
    }

    /// Parses a record. Throws ``DatabaseError/Code/newerFormat`` for a version that is not known,
    /// ``DatabaseError/Code/malformedState`` for what does not hold together.
    init(_ record: StoredRecord) throws(DatabaseError) {
        let place = "\(InternalTopic.transactionState.rawValue), offset \(record.offset)"
        guard let key = record.key else {
            throw DatabaseError(.malformedState, "\(place): expected a key")
        }
        func version(_ bytes: [UInt8]) -> Int16? {
            bytes.withUnsafeBytes { bytes in
                var reader = StateReader(bytes)
                return reader.number(Int16.self)
            }
        }
        // A tombstone has none of its own.
        guard let kind = version(key),
            let valueVersion = record.value.map(version) ?? Self.valueVersion
        else {
            throw DatabaseError(.malformedState, "\(place): the key or the value has no version")
        }
        guard kind == Self.stateKey || kind == Self.producerIDsKey,
            valueVersion == Self.valueVersion
        else {
            throw DatabaseError(
                .newerFormat,
                "\(place): expected a key of version 0 and a value of version 0, found "
                    + "\(kind) and \(valueVersion)")
        }
        let parsed: TransactionRecord?
        switch (kind, record.value) {
        case (Self.stateKey, let value?):
            parsed = key.withUnsafeBytes { key in
                value.withUnsafeBytes { Self.state(key, $0) }
            }
        case (Self.stateKey, nil):
            parsed = key.withUnsafeBytes(Self.id).map { .forgotten(id: $0) }
        case (_, let value?):
            parsed = key.count == 2 ? value.withUnsafeBytes(Self.producerIDs) : nil
        // The ids that are taken are never given back.
        case (_, nil): parsed = nil
        }
        guard let parsed else {
            throw DatabaseError(.malformedState, "\(place): the record does not parse")
        }
        self = parsed
    }

    private static func id(_ key: UnsafeRawBufferPointer) -> String? {
        var reader = StateReader(key)
        guard reader.number(Int16.self) != nil, let id = reader.text(), reader.remaining == 0 else {
            return nil
        }
        return id
    }

    private static func producerIDs(_ bytes: UnsafeRawBufferPointer) -> TransactionRecord? {
        var reader = StateReader(bytes)
        guard reader.number(Int16.self) != nil, let next = reader.number(Int64.self), next >= 0,
            reader.remaining == 0
        else { return nil }
        return .producerIDs(next: next)
    }

    private static func state(
        _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer
    ) -> TransactionRecord? {
        var reader = StateReader(value)
        guard let id = id(key), reader.number(Int16.self) != nil,
            let producerID = reader.number(Int64.self), producerID >= 0,
            let epoch = reader.number(Int16.self), epoch >= 0,
            let timeout = reader.number(Int32.self), timeout > 0,
            let status = reader.number(Int8.self).flatMap(TransactionState.Status.init),
            let partitions = partitions(&reader), let updatedAt = reader.number(Int64.self),
            let startedAt = reader.number(Int64.self), reader.remaining == 0
        else { return nil }
        return .state(
            id: id,
            TransactionState(
                producerID: producerID, epoch: epoch, timeoutMilliseconds: timeout,
                status: status, partitions: partitions, updatedAt: updatedAt,
                startedAt: startedAt))
    }

    private static func partitions(_ reader: inout StateReader) -> Set<TopicPartition>? {
        guard let topics = reader.count(elementBytes: 6) else { return nil }
        var found: Set<TopicPartition> = []
        for _ in 0..<topics {
            guard let topic = reader.text(), let count = reader.count(elementBytes: 4) else {
                return nil
            }
            for _ in 0..<count {
                guard let number = reader.number(Int32.self), number >= 0 else { return nil }
                found.insert(TopicPartition(topic, Int(number)))
            }
        }
        return found
    }
}

extension DatabaseError.Code {
    /// Another producer has taken the transactional id, the transaction took longer than its timeout
    /// and was aborted, or the id was not used for so long that it expired. Make a new producer to go
    /// on.
    public static let producerFenced = Self(description: "producer fenced")
    /// A call that does not fit where the transaction stands.
    public static let invalidTransactionState = Self(description: "invalid transaction state")
}
