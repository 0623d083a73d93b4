import CordwoodStorage

/// Builds the key or value of an internal topic's record: big-endian numbers, and texts behind
/// their length in 16 bits, as Kafka writes them.
struct StateWriter {
    private(set) var bytes: [UInt8] = []

    mutating func number<T: FixedWidthInteger>(_ value: T) {
        withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }

    /// A text of at most 32,767 bytes, which the caller has checked.
    mutating func text(_ text: String) {
        number(Int16(text.utf8.count))
        bytes.append(contentsOf: text.utf8)
    }

    mutating func bytes(_ more: [UInt8]) { bytes.append(contentsOf: more) }
}

/// Reads what ``StateWriter`` wrote, from bytes that nobody vouches for.
struct StateReader {
    private var reader: ByteReader

    /// Valid while `bytes` are.
    init(_ bytes: UnsafeRawBufferPointer) { reader = ByteReader(bytes) }

    var remaining: Int { reader.remaining }

    mutating func number<T: FixedWidthInteger>(_ type: T.Type = T.self) -> T? {
        reader.bigEndian(type)
    }

    mutating func text() -> String? {
        guard let count = reader.bigEndian(Int16.self), let bytes = reader.bytes(Int(count))
        else { return nil }
        return String(validating: bytes, as: UTF8.self)
    }

    /// Valid while the reader's bytes are.
    mutating func bytes(_ count: Int) -> UnsafeRawBufferPointer? { reader.bytes(count) }

    /// How many elements an array states; nil where that many of `elementBytes` do not remain.
    mutating func count(elementBytes: Int) -> Int? {
        guard let count = reader.bigEndian(Int32.self), count >= 0,
            Int(count) <= reader.remaining / elementBytes
        else { return nil }
        return Int(count)
    }
}
