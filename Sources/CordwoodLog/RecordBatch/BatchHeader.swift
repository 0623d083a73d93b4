import CordwoodStorage

/// The 61 bytes at the front of a Kafka record batch of version 2 ("magic 2"), big-endian.
///
/// | At | Field | | At | Field |
/// |---|---|---|---|---|
/// | 0 | base offset, 8 | | 27 | base timestamp, 8 |
/// | 8 | batch length after this field, 4 | | 35 | max timestamp, 8 |
/// | 12 | partition leader epoch, 4 | | 43 | producer id, 8 |
/// | 16 | magic, 1 | | 51 | producer epoch, 2 |
/// | 17 | CRC-32C of all from 21 on, 4 | | 53 | base sequence, 4 |
/// | 21 | attributes, 2 | | 57 | record count, 4 |
/// | 23 | last offset delta, 4 | | 61 | records |
///
/// The CRC leaves out bytes 0 to 16, so that a log can set the base offset and the epoch of a batch
/// without touching the rest. ``BatchChain`` covers what it leaves out.
struct BatchHeader {
    static let byteCount = 61
    /// What precedes the bytes that `batchLength` counts: base offset and length.
    static let lengthPrefixBytes = 12
    /// The CRC covers everything from here to the end of the batch.
    static let checksummedFrom = 21
    static let currentMagic: Int8 = 2
    /// The largest batch that any configuration may allow; a length above it is damage.
    static let maximumByteCount = 64 << 20

    static let batchLengthPosition = 8
    static let leaderEpochPosition = 12
    static let magicPosition = 16
    static let checksumPosition = 17
    static let attributesPosition = 21
    static let maxTimestampPosition = 35

    var baseOffset: Int64
    var batchLength: Int32
    var partitionLeaderEpoch: Int32
    var magic: Int8
    var checksum: UInt32
    var attributes: Int16
    var lastOffsetDelta: Int32
    var baseTimestamp: Int64
    var maxTimestamp: Int64
    var producerID: Int64
    var producerEpoch: Int16
    var baseSequence: Int32
    var recordCount: Int32

    /// The bytes of the whole batch.
    var totalByteCount: Int { Self.lengthPrefixBytes + Int(batchLength) }
    /// The offset after the batch's last record. Call only on a header that passed ``problem(_:)``.
    var nextOffset: Int64 { baseOffset + Int64(lastOffsetDelta) + 1 }

    /// Reads a header; nil when fewer than 61 bytes are there. Nothing is checked yet.
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= Self.byteCount else { return nil }
        func field<T: FixedWidthInteger>(_ position: Int, _ type: T.Type) -> T {
            T(bigEndian: bytes.loadUnaligned(fromByteOffset: position, as: type))
        }
        baseOffset = field(0, Int64.self)
        batchLength = field(Self.batchLengthPosition, Int32.self)
        partitionLeaderEpoch = field(12, Int32.self)
        magic = field(Self.magicPosition, Int8.self)
        checksum = field(Self.checksumPosition, UInt32.self)
        attributes = field(Self.attributesPosition, Int16.self)
        lastOffsetDelta = field(23, Int32.self)
        baseTimestamp = field(27, Int64.self)
        maxTimestamp = field(Self.maxTimestampPosition, Int64.self)
        producerID = field(43, Int64.self)
        producerEpoch = field(51, Int16.self)
        baseSequence = field(53, Int32.self)
        recordCount = field(57, Int32.self)
    }
}

/// What is wrong with the bytes at a place where a batch should start.
enum BatchProblem: Error, Hashable, CustomStringConvertible {
    /// Zeros: space that was reserved and never written.
    case unwritten
    case truncated(needed: Int, found: Int)
    case badLength(Int32)
    case badMagic(Int8)
    case badEpoch(expected: Int32, found: Int32)
    case badCount(records: Int32, lastOffsetDelta: Int32)
    case badOffset(expected: Int64, found: Int64)
    case badChecksum(expected: UInt32, found: UInt32)
    case badChain(expected: UInt32, found: UInt32)
    /// Damage that recovery found and the manifest names.
    case quarantined(Gap)

    var description: String {
        switch self {
        case .unwritten: "expected a batch, found zeros"
        case .truncated(let needed, let found): "expected \(needed) bytes, found \(found)"
        case .badLength(let length):
            "expected a batch length of \(BatchHeader.byteCount - BatchHeader.lengthPrefixBytes)"
                + " to \(BatchHeader.maximumByteCount), found \(length)"
        case .badMagic(let magic): "expected magic 2, found \(magic)"
        case .badEpoch(let expected, let found):
            "expected leader epoch \(expected), found \(found)"
        case .badCount(let records, let delta):
            "expected as many records as offsets, found \(records) records and a last offset "
                + "delta of \(delta)"
        case .badOffset(let expected, let found):
            "expected base offset \(expected), found \(found)"
        case .badChecksum(let expected, let found):
            "the batch says CRC-32C \(hexadecimal(expected)), its bytes have \(hexadecimal(found))"
        case .quarantined(let gap):
            "offsets \(gap.offsets.lowerBound) to \(gap.offsets.upperBound - 1) were found damaged "
                + "when the log was opened"
        case .badChain(let expected, let found):
            "the chained checksum over batch headers is \(hexadecimal(found)), "
                + "the index has \(hexadecimal(expected))"
        }
    }
}

/// A checksum as people compare them: eight hexadecimal digits.
func hexadecimal(_ value: UInt32) -> String {
    let digits = String(value, radix: 16)
    return "0x" + String(repeating: "0", count: 8 - digits.count) + digits
}

extension BatchHeader {
    /// Checks the structure of a header against the bytes that are there and what the log knows of
    /// the place: that offset `expectedOffset` comes next, and its `rules`. The record count may be lower than the offsets it spans (compaction), never
    /// higher.
    func problem(available: Int, expectedOffset: Int64, rules: BatchRules) -> BatchProblem? {
        if baseOffset == 0 && batchLength == 0 && magic == 0 && checksum == 0 { return .unwritten }
        let smallest = Self.byteCount - Self.lengthPrefixBytes
        guard batchLength >= smallest, totalByteCount <= Self.maximumByteCount else {
            return .badLength(batchLength)
        }
        guard magic == Self.currentMagic else { return .badMagic(magic) }
        if let problem = rules.problem(self, expectedOffset: expectedOffset) { return problem }
        guard baseOffset >= 0, lastOffsetDelta >= 0, recordCount >= 0,
            Int64(recordCount) <= Int64(lastOffsetDelta) + 1,
            !baseOffset.addingReportingOverflow(Int64(lastOffsetDelta) + 1).overflow
        else { return .badCount(records: recordCount, lastOffsetDelta: lastOffsetDelta) }
        guard totalByteCount <= available else {
            return .truncated(needed: totalByteCount, found: available)
        }
        return nil
    }
}
