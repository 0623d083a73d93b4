import CordwoodLog
import CordwoodStorage

/// Points as records of a collection's log: the id as the key, vector and payload as the value, no
/// value for a deletion. Layout in `docs/file-formats.md`, "Point".
enum PointCodec {
    private static let version: UInt8 = 1
    static let maximumPayloadEntries = 65_535
    private static let stringKind: UInt8 = 1
    private static let integerKind: UInt8 = 2
    private static let doubleKind: UInt8 = 3
    private static let boolKind: UInt8 = 4

    static func upsert(_ point: Point) throws(DatabaseError) -> Record {
        guard point.payload.count <= maximumPayloadEntries,
            point.payload.keys.allSatisfy({ $0.utf8.count <= Int(UInt16.max) })
        else {
            throw DatabaseError(
                .invalidConfiguration,
                "payload of point \(point.id): expected at most \(maximumPayloadEntries) entries "
                    + "with keys of at most \(UInt16.max) bytes")
        }
        // Sorted, so that equal points are equal bytes.
        let payload = point.payload.sorted { $0.key < $1.key }
        var writer = ByteWriter(
            count: 1 + 4 + point.vector.count * 4 + 2
                + payload.reduce(0) { $0 + 2 + $1.key.utf8.count + 1 + byteCount($1.value) })
        writer.littleEndian(version)
        writer.littleEndian(UInt32(point.vector.count))
        for component in point.vector { writer.littleEndian(component.bitPattern) }
        writer.littleEndian(UInt16(payload.count))
        for (key, value) in payload {
            writer.littleEndian(UInt16(key.utf8.count))
            writer.bytes(Array(key.utf8))
            write(value, to: &writer)
        }
        return Record(key: key(point.id), value: writer.finishArray())
    }

    static func deletion(_ id: UInt64) -> Record { Record(key: key(id), value: nil) }

    private static func key(_ id: UInt64) -> [UInt8] {
        withUnsafeBytes(of: id.bigEndian) { Array($0) }
    }

    private static func byteCount(_ value: PayloadValue) -> Int {
        switch value {
        case .string(let text): 4 + text.utf8.count
        case .integer, .double: 8
        case .bool: 1
        }
    }

    private static func write(_ value: PayloadValue, to writer: inout ByteWriter) {
        switch value {
        case .string(let text):
            writer.littleEndian(stringKind)
            writer.littleEndian(UInt32(text.utf8.count))
            writer.bytes(Array(text.utf8))
        case .integer(let number):
            writer.littleEndian(integerKind)
            writer.littleEndian(number)
        case .double(let number):
            writer.littleEndian(doubleKind)
            writer.littleEndian(number.bitPattern)
        case .bool(let flag):
            writer.littleEndian(boolKind)
            writer.littleEndian(UInt8(flag ? 1 : 0))
        }
    }

    // MARK: Reading

    /// What a record says: a vector under an id, or that the id is gone.
    static func mutation(
        of record: StoredRecord, dimensions: Int
    ) throws(DatabaseError) -> PointMutation {
        guard let key = record.key, key.count == 8 else {
            throw malformed(record, "expected a key of 8 bytes, found \(record.key?.count ?? 0)")
        }
        let id = key.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard let value = record.value else {
            return PointMutation(id: id, vector: nil, offset: record.offset)
        }
        let vector = value.withUnsafeBytes { bytes in
            var reader = ByteReader(bytes)
            return Self.vector(&reader, dimensions: dimensions)
        }
        guard let vector else {
            throw malformed(record, "expected a vector of \(dimensions) components")
        }
        return PointMutation(id: id, vector: vector, offset: record.offset)
    }

    /// The whole point of a record that ``upsert(_:)`` made; nil for a deletion.
    static func point(
        of record: StoredRecord, dimensions: Int
    ) throws(DatabaseError) -> Point? {
        let mutation = try mutation(of: record, dimensions: dimensions)
        guard let vector = mutation.vector, let value = record.value else { return nil }
        let payload = value.withUnsafeBytes { bytes -> [String: PayloadValue]? in
            var reader = ByteReader(bytes, at: 5 + dimensions * 4)
            return Self.payload(&reader)
        }
        guard let payload else { throw malformed(record, "expected a payload") }
        return Point(id: mutation.id, vector: vector, payload: payload)
    }

    private static func malformed(_ record: StoredRecord, _ problem: String) -> DatabaseError {
        DatabaseError(.malformedPoint, "the record at offset \(record.offset): \(problem)")
    }

    private static func vector(_ reader: inout ByteReader, dimensions: Int) -> [Float]? {
        guard reader.littleEndian(UInt8.self) == version,
            reader.littleEndian(UInt32.self) == UInt32(dimensions),
            let bytes = reader.bytes(dimensions * 4)
        else { return nil }
        return (0..<dimensions).map {
            let bits = bytes.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self)
            return Float(bitPattern: UInt32(littleEndian: bits))
        }
    }

    private static func payload(_ reader: inout ByteReader) -> [String: PayloadValue]? {
        guard let count = reader.littleEndian(UInt16.self) else { return nil }
        var payload: [String: PayloadValue] = [:]
        for _ in 0..<count {
            guard let keyCount = reader.littleEndian(UInt16.self),
                let key = text(&reader, Int(keyCount)), let kind = reader.littleEndian(UInt8.self),
                let value = value(&reader, kind)
            else { return nil }
            payload[key] = value
        }
        return reader.remaining == 0 ? payload : nil
    }

    private static func value(_ reader: inout ByteReader, _ kind: UInt8) -> PayloadValue? {
        switch kind {
        case stringKind:
            guard let count = reader.littleEndian(UInt32.self) else { return nil }
            return text(&reader, Int(count)).map { .string($0) }
        case integerKind: return reader.littleEndian(Int64.self).map { .integer($0) }
        case doubleKind:
            return reader.littleEndian(UInt64.self).map { .double(Double(bitPattern: $0)) }
        case boolKind: return reader.littleEndian(UInt8.self).map { .bool($0 != 0) }
        default: return nil
        }
    }

    private static func text(_ reader: inout ByteReader, _ count: Int) -> String? {
        reader.bytes(count).flatMap { String(validating: $0, as: UTF8.self) }
    }
}
