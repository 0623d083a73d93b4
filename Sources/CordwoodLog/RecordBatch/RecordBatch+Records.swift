package import CordwoodStorage

extension RecordBatch {
    /// The records, copied out of the batch. O(bytes): some bytes of a compressed batch may hold
    /// millions of records, which ``forEachRecord(_:)`` does not make all at once.
    ///
    /// Throws what ``forEachRecord(_:)`` throws; every length is held against the bytes that remain
    /// before anything is allocated.
    public func records() throws(LogError) -> [StoredRecord] {
        var records: [StoredRecord] = []
        // A count that lies cannot reserve more than the bytes allow.
        records.reserveCapacity(min(recordCount, byteCount / RecordParser.minimumRecordBytes))
        try forEachRecord { (record) throws(LogError) in
            records.append(try record.stored())
        }
        return records
    }

    /// Lends the records one after the other, where they lie. O(bytes); allocates nothing for a
    /// record, and for a compressed batch the bytes it inflates to, at most 64 MiB.
    ///
    /// Runs on the caller's thread. Throws ``LogError/Code/unsupportedCodec``,
    /// ``LogError/Code/malformedCompression``, and ``LogError/Code/malformedRecord`` when a
    /// record's inside does not parse; the records before that one were lent by then. An error that
    /// `body` throws ends the walk.
    public func forEachRecord(
        _ body: (borrowing RecordView) throws(LogError) -> Void
    ) throws(LogError) {
        let section = try recordSection()
        let header = try verifiedHeader()
        try section.withBytes { (_) throws(LogError) in
            var parser = RecordParser(section.unsafeBytes, of: header)
            for index in 0..<recordCount { try body(next(index, &parser)) }
            try checkEnd(parser)
        }
    }

    /// The record of that number, which the parser stands at.
    func next(_ index: Int, _ parser: inout RecordParser) throws(LogError) -> RecordView {
        guard let record = parser.next() else {
            throw malformed(index, "a field that does not fit the batch")
        }
        return record
    }

    /// Throws when something lies behind the last record.
    func checkEnd(_ parser: RecordParser) throws(LogError) {
        guard parser.remaining == 0 else {
            throw malformed(recordCount, "\(parser.remaining) bytes after the last record")
        }
    }

    /// The bytes of the records, uncompressed: part of the batch, or what it inflates to.
    package func recordSection() throws(LogError) -> MemorySlice {
        let header = try verifiedHeader()
        guard let codec = header.codec else {
            throw LogError(
                .unsupportedCodec,
                "the batch at offset \(baseOffset) has codec \(header.attributes & BatchHeader.codecMask), expected "
                    + Codec.allCases.map { "\($0.rawValue) (\($0))" }.joined(separator: ", "))
        }
        let section = MemorySlice(
            bytes.block, bytes.range.lowerBound + BatchHeader.byteCount..<bytes.range.upperBound)
        // A batch that compaction has emptied keeps its codec and has nothing to inflate.
        if codec == .none || section.count == 0 && recordCount == 0 { return section }
        do throws(CompressionProblem) {
            return try section.withBytes { (_) throws(CompressionProblem) in
                MemorySlice(try codec.inflate(section.unsafeBytes))
            }
        } catch {
            throw LogError(
                .malformedCompression,
                "the batch at offset \(baseOffset): expected records in \(codec), found \(error)")
        }
    }

    /// The header, which was read once when the batch was verified.
    func verifiedHeader() throws(LogError) -> BatchHeader {
        let header = bytes.withBytes { _ in BatchHeader(bytes.unsafeBytes) }
        guard let header else { throw malformed(0, "a short header") }
        return header
    }

    private func malformed(_ index: Int, _ found: String) -> LogError {
        LogError(
            .malformedRecord,
            "record \(index) of the batch at offset \(baseOffset): expected a record, "
                + "found \(found)")
    }
}
