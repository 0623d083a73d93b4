import CordwoodLog
import CordwoodVectors

/// A change to the points of a collection, and the offset of the record that made it.
struct PointMutation: Sendable {
    var id: UInt64
    /// Nil: the id is gone.
    var vector: [Float]?
    var offset: Int64

    /// Calls `body` with each change of a batch of a collection's log, in order. Throws for a record
    /// that is no point, and what `body` throws, with the collection's name and the offset.
    static func forEach(
        in batch: RecordBatch, dimensions: Int, name: String,
        _ body: (PointMutation) throws(VectorError) -> Void
    ) throws(DatabaseError) {
        var records: RecordReader?
        func next() throws(DatabaseError) -> StoredRecord? {
            do {
                if records == nil { records = try RecordReader(batch) }
                return try records?.next()
            } catch { throw DatabaseError(error, "collection \(name)") }
        }
        while let record = try next() {
            let mutation = try PointCodec.mutation(of: record, dimensions: dimensions)
            do { try body(mutation) } catch {
                throw DatabaseError(error, "collection \(name), offset \(record.offset)")
            }
        }
    }
}
