import CordwoodStorage

@testable import CordwoodLog

/// Batches and records as lines of text, the same that `Tests/Scripts/kafka_interop.py` makes of
/// what kafka-python reads and writes. Bytes are hexadecimal, `-` stands for a missing field.
enum KafkaText {
    static func line(_ header: BatchHeader) -> String {
        let attributes = header.attributes
        return "batch base=\(header.baseOffset) last=\(header.nextOffset - 1)"
            + " codec=\(attributes & 7) append-time=\(attributes >> 3 & 1)"
            + " transactional=\(attributes >> 4 & 1) control=\(attributes >> 5 & 1)"
            + " first-time=\(header.baseTimestamp) max-time=\(header.maxTimestamp)"
            + " producer=\(header.producerID)/\(header.producerEpoch)/\(header.baseSequence)"
            + " records=\(header.recordCount)\n"
    }

    static func line(_ record: StoredRecord) -> String {
        let headers = record.headers.map { header in
            "\(text(Array(header.key.utf8))):\(text(header.value))"
        }
        return "record offset=\(record.offset) time=\(record.timestamp) key=\(text(record.key))"
            + " value=\(text(record.value)) headers=\(headers.joined(separator: ","))\n"
    }

    private static func text(_ bytes: [UInt8]?) -> String {
        guard let bytes else { return "-" }
        return bytes.map { byte in
            String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
        }.joined()
    }
}
