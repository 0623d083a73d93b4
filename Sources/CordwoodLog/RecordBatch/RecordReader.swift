import CordwoodStorage

/// Hands the records of a batch out one by one, each copied when it is asked for.
///
/// What a compressed batch inflates to is made once and is bounded; the records are not made
/// beforehand, since some bytes of a batch may hold millions of them.
package struct RecordReader: Sendable {
    private let batch: RecordBatch
    private let section: MemorySlice
    private var place = RecordParser.Place()
    private var index = 0

    /// Throws ``LogError/Code/unsupportedCodec`` and ``LogError/Code/malformedCompression``.
    package init(_ batch: RecordBatch) throws(LogError) {
        self.batch = batch
        section = try batch.recordSection()
    }

    /// The next record; nil behind the last one. Throws ``LogError/Code/malformedRecord``, and
    /// again at each further call.
    package mutating func next() throws(LogError) -> StoredRecord? {
        let header = try batch.verifiedHeader()
        let (section, place, count) = (section, place, index)
        let found = try section.withBytes {
            (_) throws(LogError) -> (StoredRecord, RecordParser.Place)? in
            var parser = RecordParser(section.unsafeBytes, of: header, from: place)
            guard count < batch.recordCount else {
                try batch.checkEnd(parser)
                return nil
            }
            let record = try batch.next(count, &parser).stored()
            return (record, parser.place)
        }
        guard let found else { return nil }
        (self.place, index) = (found.1, index + 1)
        return found.0
    }
}
