import CordwoodLog

/// A record of `__consumer_offsets`: what a group committed for one partition, in Kafka's formats
/// (key version 1, value version 3). Layout in `docs/file-formats.md`, "Committed offset".
struct OffsetRecord: Equatable {
    static let keyVersion: Int16 = 1
    static let valueVersion: Int16 = 3
    static let maximumGroupBytes = 249

    var group: String
    var place: TopicPartition
    /// nil: the group has no offset there any more.
    var committed: CommittedOffset?

    /// The record to append. Group, topic and metadata have been checked.
    func encode() -> Record {
        var key = StateWriter()
        key.number(Self.keyVersion)
        key.text(group)
        key.text(place.topic)
        key.number(Int32(place.partition))
        guard let committed else { return Record(key: key.bytes, value: nil) }
        var value = StateWriter()
        value.number(Self.valueVersion)
        value.number(committed.offset)
        value.number(committed.leaderEpoch)
        value.text(committed.metadata)
        value.number(committed.timestamp ?? 0)
        return Record(key: key.bytes, value: value.bytes)
    }

    /// Parses a record. Throws ``DatabaseError/Code/newerFormat`` for a version that is not known,
    /// ``DatabaseError/Code/malformedState`` for what does not hold together.
    init(_ record: StoredRecord) throws(DatabaseError) {
        let place = "\(InternalTopic.consumerOffsets.rawValue), offset \(record.offset)"
        guard let key = record.key else {
            throw DatabaseError(.malformedState, "\(place): expected a key, found none")
        }
        let version = key.withUnsafeBytes { bytes in
            var reader = StateReader(bytes)
            return reader.number(Int16.self)
        }
        guard version == Self.keyVersion else { throw Self.unknown("key", version, place) }
        guard let (group, partition) = key.withUnsafeBytes(Self.key) else {
            throw DatabaseError(.malformedState, "\(place): the key does not parse")
        }
        self.group = group
        self.place = partition
        guard let value = record.value else { return }
        let valueVersion = value.withUnsafeBytes { bytes in
            var reader = StateReader(bytes)
            return reader.number(Int16.self)
        }
        guard valueVersion == Self.valueVersion else {
            throw Self.unknown("value", valueVersion, place)
        }
        guard let committed = value.withUnsafeBytes(Self.value) else {
            throw DatabaseError(.malformedState, "\(place): the value does not parse")
        }
        self.committed = committed
    }

    init(group: String, place: TopicPartition, committed: CommittedOffset?) {
        self.group = group
        self.place = place
        self.committed = committed
    }

    private static func unknown(
        _ part: String, _ version: Int16?, _ place: String
    ) -> DatabaseError {
        guard let version else {
            return DatabaseError(.malformedState, "\(place): the \(part) has no version")
        }
        return DatabaseError(
            .newerFormat,
            "\(place): expected a \(part) of version "
                + "\(part == "key" ? keyVersion : valueVersion), found \(version)")
    }

    private static func key(_ bytes: UnsafeRawBufferPointer) -> (String, TopicPartition)? {
        var reader = StateReader(bytes)
        guard reader.number(Int16.self) != nil, let group = reader.text(),
            let topic = reader.text(), let partition = reader.number(Int32.self), partition >= 0,
            reader.remaining == 0
        else { return nil }
        return (group, TopicPartition(topic, Int(partition)))
    }

    private static func value(_ bytes: UnsafeRawBufferPointer) -> CommittedOffset? {
        var reader = StateReader(bytes)
        guard reader.number(Int16.self) != nil, let offset = reader.number(Int64.self),
            offset >= 0, let epoch = reader.number(Int32.self), let metadata = reader.text(),
            let timestamp = reader.number(Int64.self), reader.remaining == 0
        else { return nil }
        return CommittedOffset(
            offset, leaderEpoch: epoch, metadata: metadata, timestamp: timestamp)
    }
}
