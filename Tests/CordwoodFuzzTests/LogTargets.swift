import CordwoodStorage

@testable import CordwoodLog

extension FuzzTarget {
    /// A batch as a peer or a segment has it. With an even first byte its checksum is made right, so
    /// that what lies behind the checksum is reached.
    static let batch = FuzzTarget(name: "batch") { input in
        guard let first = input.first else { return }
        var bytes = [UInt8](input.dropFirst())
        if first % 2 == 0 { repair(&bytes) }
        let block = MemoryBlock(copying: bytes)
        guard let header = BatchHeader(block.unsafeBytes) else { return }
        var cursor = SegmentCursor(
            position: 0, nextOffset: header.baseOffset, chain: BatchChain(value: 0))
        guard (try? cursor.next(in: block.unsafeBytes)) != nil else { return }
        let batch = RecordBatch(
            verified: header, MemorySlice(block, 0..<header.totalByteCount))
        _ = try? batch.records()
        try? batch.forEachRecord { record throws(LogError) in _ = try record.stored() }
        if var reader = try? RecordReader(batch) {
            while (try? reader.next()) != nil {}
        }
        _ = BatchRecords(block.unsafeBytes, header)
        _ = ProducerBatch(batch)
    }

    /// Makes the length, the magic number and the checksum of a batch what they should be.
    private static func repair(_ bytes: inout [UInt8]) {
        guard bytes.count >= BatchHeader.byteCount else { return }
        func store(_ value: UInt32, at position: Int) {
            for index in 0..<4 {
                bytes[position + index] = UInt8(truncatingIfNeeded: value >> (24 - 8 * index))
            }
        }
        store(UInt32(bytes.count - 12), at: 8)
        bytes[BatchHeader.magicPosition] = UInt8(BatchHeader.currentMagic)
        let sum = bytes.withUnsafeBytes {
            crc32c(UnsafeRawBufferPointer(rebasing: $0[BatchHeader.checksummedFrom...]))
        }
        store(sum, at: 17)
    }

    /// Compressed bytes behind the number of their codec.
    static let codec = FuzzTarget(name: "codec") { input in
        guard let first = input.first else { return }
        let codec = Codec.allCases[Int(first) % Codec.allCases.count]
        let rest = UnsafeRawBufferPointer(rebasing: input.dropFirst())
        let limit = 1 << 20
        if let block = try? codec.inflate(rest, limit: limit) {
            precondition(block.count <= limit, "\(block.count) bytes passed the limit")
        }
    }

    private static let header = SegmentHeader(logID: 7, baseOffset: 100)

    /// What recovery finds in a segment behind its first page, and in the page's watermark slots.
    static let segment = FuzzTarget(name: "segment") { input in
        var bytes = [UInt8](repeating: 0, count: SegmentHeader.byteCount)
        header.encode().withBytes { span in
            span.withUnsafeBytes { bytes.replaceSubrange(0..<$0.count, with: $0) }
        }
        bytes += input
        let block = MemoryBlock(copying: bytes)
        let index = OffsetIndex(baseOffset: header.baseOffset)
        let half = SegmentHeader.byteCount + input.count / 2
        let marks: [Watermark?] = [
            nil, Watermark.newest(in: block.unsafeBytes, header: header),
            Watermark(
                sequence: 1,
                durable: SegmentCursor(
                    position: half, nextOffset: 101, chain: BatchChain(value: 0)),
                groupEnd: block.count, groupWasSynced: true),
        ]
        for watermark in marks {
            let scan = TailScan(
                block.unsafeBytes, header: header, watermark: watermark, index: index,
                interval: 256)
            precondition(scan.cursor.nextOffset >= header.baseOffset)
            let rebuilt = OffsetIndex.rebuild(
                from: block, header: header, end: scan.cursor, gaps: scan.gaps, rules: .appended,
                interval: 256)
            guard let path = try? StoragePath.root.appending("segment") else { return }
            let reader = SegmentReader(
                block: block, origin: 0, index: rebuilt.index, end: scan.cursor, gaps: scan.gaps,
                rules: .appended, path: path)
            var offset = header.baseOffset
            while offset < scan.cursor.nextOffset {
                do throws(LogError) {
                    guard let last = try reader.read(from: offset, maximumBytes: 1 << 16).last
                    else { break }
                    offset = last.lastOffset + 1
                } catch {
                    guard let next = error.resumeOffset, next > offset else { break }
                    offset = next
                }
            }
        }
        _ = SealSlot.decode(block.unsafeBytes, header: header)
    }

    /// Pages of indexes, and snapshots. With an even first byte their checksums are made right.
    static let index = FuzzTarget(name: "index") { input in
        guard let first = input.first else { return }
        var file = [UInt8](input.dropFirst())
        var page = [UInt8](file.prefix(IndexPage.byteCount))
        page += [UInt8](repeating: 0, count: IndexPage.byteCount - page.count)
        if first % 2 == 0 {
            repairSum(&file)
            repairSum(&page)
        }
        page.withUnsafeBytes { bytes in
            let offsets: [OffsetIndex.Entry]? = IndexPage.decode(bytes, number: 0, header: header)
            var index = OffsetIndex(baseOffset: header.baseOffset)
            for entry in offsets ?? [] where !index.append(read: entry) { break }
            let times: [TimeIndex.Entry]? = IndexPage.decode(bytes, number: 0, header: header)
            _ = times
            _ = TransactionIndex(bytes, header: header, end: 200)
        }
        file.withUnsafeBytes { bytes in
            _ = ProducerSnapshot(bytes, logID: header.logID, expectedOffset: 100)
            _ = Watermark.newest(in: bytes, header: header)
        }
    }

    /// Writes the checksum that pages and snapshots have at byte 12.
    private static func repairSum(_ bytes: inout [UInt8]) {
        let position = 12
        guard let sum = bytes.withUnsafeBytes({ IndexPage.checksum(of: $0, at: position) }) else {
            return
        }
        for index in 0..<4 {
            bytes[position + index] = UInt8(truncatingIfNeeded: sum >> (8 * index))
        }
    }

    /// Settings as a command line gives them: a name, `=`, a text.
    static let settings = FuzzTarget(name: "settings") { input in
        let text = String(decoding: input, as: UTF8.self)
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else { return }
        guard let change = try? LogConfiguration.change(String(parts[0]), to: String(parts[1]))
        else { return }
        var configuration = LogConfiguration()
        change(&configuration)
        try? configuration.validate()
    }
}
