import CordwoodSimulation
import CordwoodStorage
import Testing

@testable import CordwoodLog

/// The bytes of a segment, built batch by batch for the pure parts that read them.
struct SegmentImage {
    let header = SegmentHeader(logID: testLogID, baseOffset: 100)
    private(set) var bytes: [UInt8]
    /// The place before each batch, and the end.
    private(set) var places: [SegmentCursor]
    private(set) var records: [StoredRecord] = []

    init() {
        bytes = header.encode().array
        places = [.start(logID: header.logID, baseOffset: header.baseOffset)]
    }

    /// A segment of batches of one to three records, some with values of `valueBytes`.
    init(batches: Int, valueBytes: Int = 10) throws {
        self.init()
        for number in 0..<batches {
            try append(
                (0...number % 3).map { index in
                    Record(
                        key: [UInt8(number)],
                        value: [UInt8](repeating: UInt8(index + 1), count: valueBytes), timestamp: 1
                    )
                })
        }
    }

    var end: SegmentCursor { places[places.count - 1] }

    mutating func append(_ records: [Record]) throws {
        let batch = try RecordBatchEncoder(maxMessageBytes: 1 << 20).encode(records, now: 0)[0]
        batch.assign(baseOffset: end.nextOffset, epoch: 0)
        var cursor = end
        cursor.advance(over: batch, nextOffset: end.nextOffset + Int64(batch.recordCount))
        self.records += try RecordBatch(
            verified: try #require(BatchHeader(batch.block.unsafeBytes)), MemorySlice(batch.block)
        ).records()
        bytes += batch.block.array
        places.append(cursor)
    }

    func index(interval: Int) -> OffsetIndex {
        var index = OffsetIndex(baseOffset: header.baseOffset)
        for place in places.dropLast() { index.note(place, interval: interval) }
        return index
    }

    /// The batch that holds a byte.
    func batch(at position: Int) -> Int { places.lastIndex { $0.position <= position }! }

    /// The records of all batches but some.
    func records(without batches: Set<Int>) -> [StoredRecord] {
        let gone = batches.map { places[$0].nextOffset..<places[$0 + 1].nextOffset }
        return records.filter { record in !gone.contains { $0.contains(record.offset) } }
    }
}
