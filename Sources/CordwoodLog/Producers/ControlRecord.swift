import CordwoodStorage

/// What a control batch says: that a transaction ended, how, and by whose word.
///
/// Kafka's control record, big-endian: the key is a version (2) and the type (2, 0 abort, 1
/// commit), the value a version (2) and the coordinator's epoch (4). Longer ones of a later version
/// are read as far as they are known.
struct ControlRecord: Hashable {
    private static let version: Int16 = 0

    var marker: TransactionMarker
    var coordinatorEpoch: Int32

    init(_ marker: TransactionMarker, coordinatorEpoch: Int32) {
        self.marker = marker
        self.coordinatorEpoch = coordinatorEpoch
    }

    /// Reads a control record; nil when it is not one that ends a transaction.
    init?(key: [UInt8]?, value: [UInt8]?) {
        guard let key, let value else { return nil }
        let type: Int16? = key.withUnsafeBytes { bytes in
            var reader = ByteReader(bytes)
            guard let version = reader.bigEndian(Int16.self), version >= 0 else { return nil }
            return reader.bigEndian(Int16.self)
        }
        let epoch: Int32? = value.withUnsafeBytes { bytes in
            var reader = ByteReader(bytes)
            guard let version = reader.bigEndian(Int16.self), version >= 0 else { return nil }
            return reader.bigEndian(Int32.self)
        }
        guard let marker = type.flatMap(TransactionMarker.init), let epoch else { return nil }
        self.init(marker, coordinatorEpoch: epoch)
    }

    /// The record that goes into the log.
    func record(timestamp: Int64) -> Record {
        var key = ByteWriter(count: 4)
        key.bigEndian(Self.version)
        key.bigEndian(marker.rawValue)
        var value = ByteWriter(count: 6)
        value.bigEndian(Self.version)
        value.bigEndian(coordinatorEpoch)
        return Record(key: key.finishArray(), value: value.finishArray(), timestamp: timestamp)
    }
}
