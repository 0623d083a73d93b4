import CordwoodStorage

extension InspectionItem {
    /// A sound batch, with the chain behind it.
    init(_ header: BatchHeader, at position: Int, chain: BatchChain, _ path: StoragePath) {
        self.init(
            .batch, path, at: position,
            [
                "firstOffset": .integer(header.baseOffset),
                "lastOffset": .integer(header.nextOffset - 1),
                "records": .integer(Int64(header.recordCount)),
                "bytes": .count(header.totalByteCount),
                "codec": .text(
                    header.codec.map(String.init(describing:))
                        ?? "codec \(header.attributes & BatchHeader.codecMask)"),
                "epoch": .integer(Int64(header.partitionLeaderEpoch)),
                "baseTimestamp": .integer(header.baseTimestamp),
                "maxTimestamp": .integer(header.maxTimestamp),
                "timestampType": header.attributes & 0x8 == 0 ? "createTime" : "logAppendTime",
                "transactional": .boolean(header.attributes & 0x10 != 0),
                "control": .boolean(header.attributes & 0x20 != 0),
            ])
        if header.producerID >= 0 {
            fields += [
                ("producerID", .integer(header.producerID)),
                ("producerEpoch", .integer(Int64(header.producerEpoch))),
                ("baseSequence", .integer(Int64(header.baseSequence))),
            ]
        }
        fields += [
            ("crc", .hexadecimal(header.checksum)), ("chain", .hexadecimal(chain.value)),
        ]
    }
}

extension LogInspector {
    func emitRecord(_ record: StoredRecord, _ path: StoragePath) throws {
        var item = InspectionItem(
            .record, path, at: nil,
            [
                "offset": .integer(record.offset), "timestamp": .integer(record.timestamp),
                "key": .bytes(record.key), "value": .bytes(record.value),
            ])
        for header in record.headers {
            item.fields.append(("header.\(header.key)", .bytes(header.value)))
        }
        try emit(item)
    }
}
