import Cordwood
import CordwoodSimulation

/// What the record or point with a number holds. Nothing but the number decides, so that whoever
/// checks needs no copy.
enum Content {
    static let dimensions = 8

    private static func random(_ number: Int64, _ salt: UInt64) -> SplitMix64 {
        SplitMix64(seed: UInt64(bitPattern: number) &* 0x2545_F491_4F6C_DD1D &+ salt)
    }

    /// The number in its first eight bytes, and some behind it.
    static func value(_ number: Int64) -> [UInt8] {
        var random = random(number, 1)
        let length = [0, 0, 20, 100, 100, 300, 1000, 4000][random.below(8)]
        var bytes = withUnsafeBytes(of: number.littleEndian) { Array($0) }
        bytes.reserveCapacity(8 + length)
        for _ in 0..<length { bytes.append(UInt8(truncatingIfNeeded: random.next())) }
        return bytes
    }

    /// The number of a value, when it is the whole and unchanged value of that number.
    static func number(of value: [UInt8]) throws -> Int64 {
        guard value.count >= 8 else { throw Violation("a value of \(value.count) bytes") }
        let number = value[..<8].reversed().reduce(Int64(0)) { $0 << 8 | Int64($1) }
        guard Content.value(number) == value else {
            throw Violation("record \(number) is not byte for byte what was sent")
        }
        return number
    }

    // MARK: Keys

    /// One of a few keys that only this writer uses, so that its own order is that of each key.
    static func key(_ number: Int64, writer: Int) -> Int {
        var random = random(number, 2)
        return writer * 8 + random.below(8)
    }

    /// Whether it deletes its key.
    static func isDeletion(_ number: Int64) -> Bool {
        var random = random(number, 3)
        return random.below(5) == 0
    }

    /// A record of a key. A deletion carries its number in a header.
    static func keyedRecord(_ number: Int64, writer: Int) -> Record {
        let key = withUnsafeBytes(of: UInt32(key(number, writer: writer)).littleEndian) {
            Array($0)
        }
        let header = withUnsafeBytes(of: number.littleEndian) { Array($0) }
        return Record(
            key: key, value: isDeletion(number) ? nil : value(number),
            headers: [RecordHeader(key: "n", value: header)])
    }

    /// The number of a record of a key, when it is what was sent.
    static func number(of record: StoredRecord, writerOf: (Int64) -> Int?) throws -> Int64 {
        guard let header = record.headers.first?.value, header.count == 8 else {
            throw Violation("record at offset \(record.offset) has no number")
        }
        let number = header.reversed().reduce(Int64(0)) { $0 << 8 | Int64($1) }
        guard let writer = writerOf(number) else {
            throw Violation("record \(number) at offset \(record.offset) was never sent")
        }
        let sent = keyedRecord(number, writer: writer)
        guard record.key == sent.key, record.value == sent.value, record.headers == sent.headers
        else { throw Violation("record \(number) is not byte for byte what was sent") }
        return number
    }

    // MARK: Points

    static func vector(_ number: Int64) -> [Float] {
        var random = random(number, 4)
        return (0..<dimensions).map { _ in Float(random.below(1 << 20)) / Float(1 << 20) }
    }

    static func point(_ number: Int64, writer: Int) -> Point {
        Point(
            id: UInt64(key(number, writer: writer)), vector: vector(number),
            payload: ["n": .integer(number)])
    }
}
